"""A ledger keeps the rows of a dataclass, in the columns that the tables of older releases have."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from ml_assets.alerts import delivery, outbox
from ml_assets.features.online import ledger as online
from ml_assets.monitoring import verdict
from ml_assets.storage.lake import Lake
from ml_assets.storage.ledger import Ledger
from ml_assets.training import release

TIME = pa.timestamp("us")
STORED: list[tuple[Ledger[Any], list[tuple[str, pa.DataType]]]] = [
    (verdict.ledger("shop"), [
        ("as_of", pa.date32()), ("model_version", pa.int64()), ("action", pa.string()), ("reason", pa.string()),
        ("triggers", pa.string()), ("in_a_row", pa.string()), ("evidence", pa.int64()), ("decided_at", TIME),
    ]),
    (release.ledger("shop"), [
        ("as_of", pa.date32()), ("version", pa.int64()), ("run_id", pa.string()), ("previous", pa.int64()),
        ("reason", pa.string()), ("evidence", pa.string()), ("decided_at", TIME), ("decision", pa.string()),
    ]),
    (online.ledger("shop"), [
        ("as_of", pa.date32()), ("feature_set", pa.string()), ("model_version", pa.int64()), ("store", pa.string()),
        ("rows", pa.int64()), ("fingerprint", pa.int64()), ("written_at", TIME),
    ]),
    (outbox.ledger("shop"), [
        ("id", pa.string()), ("as_of", pa.date32()), ("rule", pa.string()), ("metric", pa.string()),
        ("kind", pa.string()), ("severity", pa.string()), ("value", pa.float64()), ("limit", pa.float64()),
        ("text", pa.string()), ("link", pa.string()), ("created_at", TIME),
    ]),
    (delivery._delivered("shop"), [
        ("id", pa.string()), ("target", pa.string()), ("delivered_at", TIME), ("attempt", pa.int64()),
        ("complete", pa.bool_()),
    ]),
    (delivery._ATTEMPTS, [
        ("target", pa.string()), ("attempted_at", TIME), ("alerts", pa.int64()), ("failure", pa.string()),
    ]),
]  # fmt: skip
"""The columns of the tables as they stand in data folders since the first releases."""


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Paint:
    at: datetime
    colour: Colour
    litres: float | None
    mood: Literal["glad", "sad"] = "glad"
    room: str = ""


FIRST = datetime(2026, 3, 1)  # noqa: DTZ001 - the lake's times are naive UTC
SECOND = FIRST + timedelta(days=1)
LEDGER = Ledger("house/paint", Paint, ("at",), {"room": "hall"})


def test_the_columns_of_every_ledger_are_what_they_were() -> None:
    for ledger, columns in STORED:
        assert ledger.schema == pa.schema(columns), ledger.table


def test_rows_come_back_as_they_went_in(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    assert (LEDGER.last(lake), LEDGER.history(lake)) == (None, [])
    rows = [Paint(FIRST, Colour.RED, 2.5, room="hall"), Paint(SECOND, Colour.RED, None, "sad", "hall")]
    LEDGER.append(lake, rows[1])
    LEDGER.append(lake, rows[0])
    assert LEDGER.history(lake) == rows
    assert LEDGER.history(lake, 1) == rows[1:]
    assert LEDGER.last(lake) == rows[1]
    assert LEDGER.last(lake, '"at" < $until', until=SECOND) == rows[0]
    assert isinstance(LEDGER.history(lake)[0].colour, Colour)


def test_a_row_is_written_once_for_a_record(tmp_path: Path) -> None:
    lake, row = Lake(str(tmp_path)), Paint(FIRST, Colour.RED, 1.0, room="hall")
    for _ in range(2):
        LEDGER.append(lake, row, records={"paint=1": 1})
    assert LEDGER.history(lake) == [row]


def test_rows_without_a_column_that_came_later_have_its_default(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    older = pa.schema([("at", TIME), ("colour", pa.string()), ("once", pa.int64())])
    lake.append("house/paint", pa.Table.from_pylist([{"at": FIRST, "colour": "red", "once": 1}], schema=older))
    LEDGER.append(lake, Paint(SECOND, Colour.RED, 1.0, "sad", "hall"))
    assert [(row.litres, row.mood) for row in LEDGER.history(lake)] == [(None, "glad"), (1.0, "sad")]
