"""Drift that is known to be there: a real shop before and after Christmas.

The numbers were first found apart from this code. Customers active in 180 days, reference 2010-06-01:
PSI of recency .84 at 2011-01-01, .37 at 2011-03-01, .04 at 2011-06-01; of the orders .30 at 2011-03-01.
"""

import warnings
from datetime import date, datetime, time, timedelta
from functools import cache

import duckdb
import pyarrow as pa
import pytest

from ml_assets.monitoring.drift.compare import SampleComparison, drift
from ml_assets.settings import PROJECT
from ml_assets.spec.drift import DriftSpec
from ml_assets_tests.real_data import INVOICES, needs_invoices

_FOLDER = PROJECT / "ml_assets" / "defs" / "retail"

pytestmark = needs_invoices


@cache
def _purchases(as_of: date) -> pa.Table:
    """The feature view of the model folder, on the rows of its lookback."""
    sql = (_FOLDER / "features" / "purchases.sql").read_text()
    with duckdb.connect() as connection:
        span = f"invoice_date >= DATE '{as_of - timedelta(180)}' AND invoice_date < DATE '{as_of}'"
        connection.execute(f"CREATE VIEW transactions AS SELECT * FROM '{INVOICES}' WHERE {span}")
        found: pa.Table = connection.sql(sql, params={"as_of": datetime.combine(as_of, time())}).to_arrow_table()
        return found


def _against_june(as_of: date, reference: date = date(2010, 6, 1)) -> SampleComparison:
    features = ["recency", "orders_90d"]
    return drift(_purchases(reference), _purchases(as_of), features, [], DriftSpec(), None)


@pytest.mark.parametrize(
    ("as_of", "psi"), [(date(2011, 1, 1), 0.84), (date(2011, 3, 1), 0.37), (date(2011, 6, 1), 0.04)]
)
def test_psi_of_recency_is_the_known_one(as_of: date, psi: float) -> None:
    assert _against_june(as_of).features["recency"].psi == pytest.approx(psi, abs=0.01)


def test_march_alarms_and_june_is_quiet() -> None:
    assert _against_june(date(2011, 3, 1)).drifted == ["recency", "orders_90d"]
    assert _against_june(date(2011, 6, 1)).drifted == []


@pytest.mark.parametrize(
    ("as_of", "drifted"),
    [
        (date(2011, 1, 2), ["recency"]),
        (date(2011, 3, 6), ["recency", "orders_90d"]),
        (date(2011, 5, 29), []),
    ],
)
def test_the_same_holds_on_the_sundays_of_the_model(as_of: date, drifted: list[str]) -> None:
    assert _against_june(as_of, reference=date(2010, 5, 30)).drifted == drifted


@pytest.mark.slow
def test_psi_as_evidently_bins_it_misses_the_orders() -> None:
    """Its equal-width bins over both samples say .56 for .37, and .02 for .30 where the tail is long.

    When this fails, Evidently has changed its bins, and its PSI may do.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from evidently import DataDefinition, Dataset, Report
        from evidently.metrics import ValueDrift

    names = ["recency", "orders_90d"]
    kinds = DataDefinition(numerical_columns=names)
    before, after = (
        Dataset.from_pandas(_purchases(as_of).select(names).to_pandas(), data_definition=kinds)
        for as_of in (date(2010, 6, 1), date(2011, 3, 1))
    )
    report = Report([ValueDrift(column=name, method="psi") for name in names]).run(after, before)
    recency, orders = (metric["value"] for metric in report.dict()["metrics"])
    assert recency == pytest.approx(0.56, abs=0.01)
    assert orders < 0.05
    assert _against_june(date(2011, 3, 1)).features["orders_90d"].psi == pytest.approx(0.30, abs=0.01)
