"""The queries of `defs/churn` on simulated rows, against the truth behind them."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import ml_assets.defs
from ml_assets.examples.churn.observe import ARRIVAL, SCHEMAS
from ml_assets.examples.churn.simulation import Simulation, history, truth
from ml_assets.features.query import check
from ml_assets.storage.duck import memory

if TYPE_CHECKING:
    import duckdb

FOLDER = Path(ml_assets.defs.__path__[0]) / "churn"
VIEWS = sorted((FOLDER / "features").glob("*.sql"))
SIMULATION = Simulation(end=date(2025, 6, 29), customers=2500, months=13, dirty=0)
HORIZON = timedelta(days=90)
TRAIN = [date(2024, 10, 20), date(2024, 11, 24)]
TEST = [date(2025, 2, 23), date(2025, 3, 30)]
CATEGORIES = ["plan", "country", "channel"]
EVENTS = {
    "customers": "signed_up_at",
    "transactions": "created_at",
    "sessions": "started_at",
    "support_tickets": "opened_at",
}


class World:
    """The rows of one simulation in DuckDB; each query sees them as of a date."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection") -> None:
        self.duckdb = connection
        weeks = [rows for _, rows in history(SIMULATION)]
        for source in SCHEMAS:
            self.duckdb.register(f"raw_{source}", pa.concat_tables([rows[source] for rows in weeks]))

    def population(self, as_of: date) -> pd.DataFrame:
        return self.view(FOLDER / "population.sql", as_of)

    def label(self, as_of: date) -> pd.DataFrame:
        self._bind(None, as_of)
        self.duckdb.execute(f"CREATE OR REPLACE TEMP TABLE population AS {(FOLDER / 'population.sql').read_text()}")
        self._bind(as_of, as_of + HORIZON)
        return self._run(FOLDER / "label.sql", as_of)

    def view(self, path: Path, as_of: date) -> pd.DataFrame:
        self._bind(None, as_of)
        return self._run(path, as_of)

    def rows(self, as_of: date) -> pd.DataFrame:
        """Population × features × label."""
        found = self.population(as_of)
        for path in VIEWS:
            found = found.merge(self.view(path, as_of), on="customer_id", how="left")
        return found.merge(self.label(as_of), on="customer_id", validate="1:1")

    def _run(self, path: Path, as_of: date) -> pd.DataFrame:
        query = check(path.read_text(), {*SCHEMAS, "population"}, where=path.name)
        given = {"as_of": datetime.combine(as_of, time())} if query.parameters else {}
        found: pd.DataFrame = self.duckdb.execute(query.sql, given).df()
        return found

    def _bind(self, start: date | None, end: date) -> None:
        for source in SCHEMAS:
            self.duckdb.execute(
                f"CREATE OR REPLACE TEMP VIEW {source} AS SELECT * FROM raw_{source} "
                f"WHERE {EVENTS[source]} >= TIMESTAMP '{start or date.min}' "
                f"AND {EVENTS[source]} < TIMESTAMP '{end}' AND {ARRIVAL[source]} < TIMESTAMP '{end}'"
            )


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with memory() as connection:
        yield World(connection)


def test_the_population_is_who_is_there(world: World) -> None:
    for as_of in TEST:
        known = truth(SIMULATION, [as_of], HORIZON)["customer_id"].to_pylist()
        assert sorted(world.population(as_of).customer_id) == sorted(known)


def test_the_label_is_who_cancels_within_the_horizon(world: World) -> None:
    for as_of in TEST:
        known = truth(SIMULATION, [as_of], HORIZON)
        happened = dict(zip(known["customer_id"].to_pylist(), known["label"].to_pylist(), strict=True))
        label = world.label(as_of)
        assert dict(zip(label.customer_id, label.label, strict=True)) == happened


@pytest.mark.parametrize("path", VIEWS, ids=lambda path: path.stem)
def test_a_view_has_one_row_a_customer(world: World, path: Path) -> None:
    found = world.view(path, TEST[0])
    assert len(found) > 100
    assert found.customer_id.notna().all()
    assert found.customer_id.is_unique


def test_no_two_views_share_a_column(world: World) -> None:
    names = [name for path in VIEWS for name in world.view(path, TEST[0]).columns if name != "customer_id"]
    assert len(names) == len(set(names))


def test_every_column_is_documented(world: World) -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    for path in VIEWS:
        for name in world.view(path, TEST[0]).columns:
            assert f"`{name}`" in readme, name


def test_a_model_learns_from_the_features_but_never_beats_the_truth(world: World) -> None:
    """A time split with an embargo of one horizon, against the exact probabilities of the same rows."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    assert max(TRAIN) + HORIZON <= min(TEST)
    train, test = (pd.concat([world.rows(as_of) for as_of in dates]) for dates in (TRAIN, TEST))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    model.fit(_numbers(train), train.label)
    score = float(roc_auc_score(test.label, model.predict_proba(_numbers(test))[:, 1]))
    known = truth(SIMULATION, TEST, HORIZON).to_pandas()
    best = float(roc_auc_score(known.label, known.probability))
    assert 0.72 < score < best - 0.02


def _numbers(rows: pd.DataFrame) -> np.ndarray:
    wide = pd.get_dummies(rows.drop(columns=["customer_id", "label"]), columns=CATEGORIES)
    return wide.astype(float).fillna(wide.median()).to_numpy()
