"""What was written to the online store: an append-only table, whose last row says which feature set answers."""

from datetime import date, datetime
from typing import TypedDict

import pyarrow as pa

from ml_assets.storage.duck import quote
from ml_assets.storage.lake import Lake
from ml_assets.storage.tables import ModelTables

_LEDGER = pa.schema([
    ("as_of", pa.date32()),
    ("feature_set", pa.string()),
    ("model_version", pa.int64()),
    ("store", pa.string()),
    ("rows", pa.int64()),
    ("fingerprint", pa.int64()),
    ("written_at", pa.timestamp("us")),
])  # fmt: skip


class OnlineWrite(TypedDict):
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


def table(model: str) -> str:
    """The table of a model's online features."""
    return ModelTables(model).online_features


def last(lake: Lake, model: str, **where: str) -> OnlineWrite | None:
    """The last write, or the last one with these values; None before."""
    if lake.version(table(model)) is None:
        return None
    conditions = " AND ".join(f"{quote(name)} = ${name}" for name in where) or "true"
    found: list[OnlineWrite] = lake.query(
        f"SELECT * FROM o WHERE {conditions} ORDER BY written_at DESC, as_of DESC LIMIT 1", where, o=table(model)
    ).to_pylist()
    return found[0] if found else None


def note(lake: Lake, model: str, row: OnlineWrite) -> None:
    """Append a write, unless the last row says the same."""
    before = last(lake, model)
    if before is None or {**before, "written_at": None} != {**row, "written_at": None}:
        lake.append(table(model), pa.Table.from_pylist([dict(row)], schema=_LEDGER))
