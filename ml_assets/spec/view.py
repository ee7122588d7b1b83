"""A feature view, as a `defs.yaml` declares it."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from ml_assets.spec.base import Declaration, Duration

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class ViewSpec(Declaration):
    """A feature view: one SQL query over the sources as of a date, one row per entity."""

    name: Name = Field(description="The view's name; its asset is `<folder>/features/<name>`")
    sql: str = Field(description="The `.sql` file of the query, relative to the folder")
    lookback: Duration | None = Field(None, description="How far back the query sees; default: all history")
    ttl: Duration = Field(timedelta(days=14), description="How long its values may be used after their as-of date")
    refresh: Duration | None = Field(
        None, description="How often online values are refreshed; default: each as-of date"
    )
    freshness: Duration | None = Field(None, description="How old its last computation may grow; default: any age")
    description: str = Field("", description="What the view says about the entity")
    owners: tuple[str, ...] = Field((), description="E-mail addresses or `team:name`")

    @field_validator("refresh")
    @classmethod
    def _whole_days(cls, refresh: timedelta | None) -> timedelta | None:
        if refresh is not None and refresh % timedelta(days=1):
            raise ValueError(f"refresh {refresh}: the clock is a date, so write whole days (1d, 7d, 2w)")
        return refresh
