"""A new kind of event is one row, one table, one entry: it is written, read, aged, forgotten and taken to the lake."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import Column, Text, UniqueConstraint

from ml_assets.events import schema
from ml_assets.events.rows import Prediction
from ml_assets.events.schema import EVENTS, EventKind, event_table
from ml_assets.events.store import EventStore
from ml_assets.monitoring.log.take import table, take
from ml_assets.storage.lake import Lake
from ml_assets_tests.serving.traffic import NOW, prediction, write


class Complaint(NamedTuple):
    """Somebody complained about a variant."""

    model: str
    variant: str
    reason: str
    said_at: int


@pytest.fixture
def complaints(monkeypatch: pytest.MonkeyPatch, url: str) -> Iterator[str]:
    """A store of the release before, once this one has the kind."""
    with EventStore(url) as store:
        write(store, prediction())
    texts: list[Column[object]] = [Column(name, Text, nullable=False) for name in ("model", "variant", "reason")]
    made = event_table("complaints", *texts, schema._whole("said_at"), UniqueConstraint("model", "said_at"))
    monkeypatch.setitem(EVENTS, Complaint, EventKind(made, aged_by="said_at", log="complaints"))
    yield url
    schema.METADATA.remove(made)


def test_a_new_kind_needs_no_further_line(complaints: str, tmp_path: Path) -> None:
    rows, lake = (
        tuple(Complaint("churn", "challenger", "slow", NOW + at) for at in range(3)),
        Lake(str(tmp_path / "lake")),
    )
    with EventStore(complaints) as store:
        write(store, *rows, *rows)
        assert store.read_since(Complaint, 0, 9, model="churn").rows == rows
        assert store.count_behind("churn")["complaints"] == 3
        assert take(lake, store, "churn", date(2026, 8, 30)).rows == {
            "prediction_log": 1, "outcomes": 0, "exposures": 0, "failures": 0, "shadows": 0, "searches": 0,
            "traffic": 0, "complaints": 3,
        }  # fmt: skip
        kept = lake.query("SELECT reason, epoch_us(said_at) AS at FROM f", f=table("churn", Complaint)).to_pylist()
        assert kept == [{"reason": row.reason, "at": row.said_at} for row in rows]
        assert store.retain("churn", NOW + 2) == 3
        assert store.read_since(Complaint, 0, 9, model="churn").rows == rows[2:]
        store.forget("churn")
        assert store.count("churn") == 0
        assert store.find(Prediction, "none") is None
        assert store.exported_until(Prediction, "churn") == 0
