"""What was written to the online store: an append-only table, whose last row says which feature set answers."""

from dataclasses import dataclass, replace
from datetime import date, datetime

from ml_assets.storage.lake import Lake
from ml_assets.storage.ledger import Ledger
from ml_assets.storage.tables import ModelTables


@dataclass(frozen=True)
class OnlineWrite:
    """One write.

    Args:
        as_of: of the records.
        feature_set: what they are kept under.
        model_version: the champion whose features they are.
        store: where they are, without a password.
        rows: the entities of the population.
        fingerprint: what the rows are a function of.
        written_at: naive UTC.
    """

    as_of: date
    feature_set: str
    model_version: int
    store: str
    rows: int
    fingerprint: int
    written_at: datetime


def ledger(model: str) -> Ledger[OnlineWrite]:
    """The writes of a model's features to online stores."""
    return Ledger(ModelTables(model).online_features, OnlineWrite, ("written_at", "as_of"))


def note(lake: Lake, model: str, row: OnlineWrite) -> None:
    """Append a write, unless the last row says the same."""
    before = ledger(model).last(lake)
    if before is None or replace(before, written_at=row.written_at) != row:
        ledger(model).append(lake, row)
