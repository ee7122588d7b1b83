"""Waivers: a person lets a check pass for a while, under their name."""

from datetime import datetime

from ml_assets.decisions.release import Waiver, WaiverError, require_waivable
from ml_assets.errors import TrainingError
from ml_assets.release.chain import RecordRow, append_entry
from ml_assets.release.sign import ReleaseKey
from ml_assets.storage.lake import Lake


def waive(lake: Lake, model: str, waiver: Waiver, key: ReleaseKey, now: datetime) -> RecordRow:
    """Write a waiver behind the record; the next candidate is judged with it.

    Args:
        lake: where the record is.
        model: the model's name.
        waiver: what is let pass.
        key: that signs.
        now: naive UTC.

    Raises:
        TrainingError: it cannot be given.
    """
    if not waiver.reason.strip():
        raise TrainingError(f"{model}: a waiver needs a reason: say with --reason why")
    try:
        require_waivable(waiver, now.date())
    except WaiverError as error:
        raise TrainingError(str(error)) from error
    said = {
        "stage": "waiver",
        "check": waiver.check,
        "person": waiver.person,
        "reason": " ".join(waiver.reason.split())[:1000],
        "until": waiver.until.isoformat(),
    }
    return append_entry(lake, model, key, said, circumstances={}, now=now)
