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
        model_version: the version whose features they are.
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


def variant_ledger(model: str) -> Ledger[OnlineWrite]:
    """The writes of a model's features for versions beside the champion, which may have to answer at once."""
    return Ledger(ModelTables(model).online_variants, OnlineWrite, ("written_at", "as_of"))


def last_write(lake: Lake, model: str, where: str, **parameters: object) -> OnlineWrite | None:
    """The last write for which an SQL condition holds, whether for the champion or for another version."""
    rows = [each.last(lake, where, **parameters) for each in (ledger(model), variant_ledger(model))]
    return max((row for row in rows if row), key=lambda row: (row.written_at, row.as_of), default=None)


def note(lake: Lake, model: str, row: OnlineWrite) -> None:
    """Append a write, unless the last row says the same."""
    before = ledger(model).last(lake)
    if before is None or replace(before, written_at=row.written_at) != row:
        ledger(model).append(lake, row)


def note_variant(lake: Lake, model: str, row: OnlineWrite) -> None:
    """Append a write for a version beside the champion, unless its last row says the same."""
    where = "model_version = $number AND store = $store"
    before = variant_ledger(model).last(lake, where, number=row.model_version, store=row.store)
    if before is None or replace(before, written_at=row.written_at) != row:
        variant_ledger(model).append(lake, row)
