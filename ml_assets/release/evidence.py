"""What is read from the lake for the checks of a candidate."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import SecretStr

from ml_assets.alerts.delivery import list_silent
from ml_assets.release.checks import RECENT, AlertsEvidence
from ml_assets.storage.lake import Lake


def read_alerts(lake: Lake, rules: int, urls: Sequence[SecretStr], now: datetime) -> AlertsEvidence:
    """What is known of whether people would be told.

    Args:
        lake: where the outbox is.
        rules: that are declared.
        urls: of the settings.
        now: naive UTC.
    """
    return AlertsEvidence(rules, list_silent(lake, urls, since=now - RECENT), len(set(urls)))
