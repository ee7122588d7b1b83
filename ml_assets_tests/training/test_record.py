"""A training record is read whatever release wrote it, and written as it always was."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from ml_assets.errors import TrainingError
from ml_assets.features.query import FeatureQuery
from ml_assets.features.view import Relation, View
from ml_assets.training.frame import FeatureColumns
from ml_assets.training.record import TrainingRecord
from ml_assets.training.split import Split

STORED = (Path(__file__).parent / "training_record.json").read_bytes().rstrip()
"""What the release before msgspec wrote."""

DAY, WEEK = date(2026, 3, 1), timedelta(days=7)
BASE = View(
    "shop/features/base",
    FeatureQuery("SELECT customer, count(*) AS n FROM orders GROUP BY ALL", ("orders",), (), "{}", "base.sql", ("n",)),
    "customer",
    (Relation("orders", "shop/raw/orders", "made_at"),),
    lookback=timedelta(days=180),
)
HOURS = View(
    "shop/features/hours",
    FeatureQuery("SELECT * FROM base JOIN tickets USING (customer)", ("base", "tickets"), ("as_of",), "{}"),
    "customer",
    (Relation("tickets", "shop/raw/tickets", "made_at", "known", ("customer", "kind")),),
    (("base", BASE),),
    lookback=timedelta(hours=36, microseconds=500_000),
)
RECORD = TrainingRecord(
    entity="customer",
    table="shop/training_set/00ff",
    version=3,
    as_of=DAY,
    split=Split((DAY - 2 * WEEK, DAY - WEEK), (DAY,), (DAY - WEEK, DAY)),
    columns=FeatureColumns(("n", "größe"), ("kind",)),
    features=(BASE, HOURS),
    ttls=(604800.0, 5400.5),
    parameters={"max_iter": 100, "rate": 0.1, "hidden": [5, 2], "name": None, "warm": True},
    tables={"shop/raw/orders": 4},
    classes=("a", "b", "c"),
)


def test_a_record_is_written_as_it_always_was_and_read_again() -> None:
    assert RECORD.to_json() == STORED
    assert TrainingRecord.from_json(STORED) == RECORD


def test_a_record_of_an_older_release_says_less() -> None:
    """Keys of sources, running text and classes came later."""
    older = STORED.replace(b',\n     "key": []', b"").replace(b',\n  "text": []', b"")
    older = older[: older.index(b',\n "classes"')] + b"\n}"
    assert TrainingRecord.from_json(older) == replace(RECORD, classes=())
    with_terms = STORED.rstrip()[:-1] + b', "terms": {"a": {"word": 0.25}}}'
    assert TrainingRecord.from_json(with_terms) == RECORD


def test_parameters_of_numpy_are_numbers() -> None:
    written = replace(RECORD, parameters={"rate": np.float64(0.1)})
    assert TrainingRecord.from_json(written.to_json()).parameters == {"rate": 0.1}


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"training\.json of a version cannot be read"):
        TrainingRecord.from_json(b"{}")
