"""What a folder declares of its monitoring."""

from pydantic import Field

from ml_assets.declaration import Declaration
from ml_assets.monitoring.spec import DriftSpec


class MonitorSpec(Declaration):
    """Reports that follow the champion."""

    drift: DriftSpec = Field(DriftSpec(), description="The drift report: limits for all features and for single ones")
    owners: tuple[str, ...] = Field((), description="E-mail addresses or `team:name`")
