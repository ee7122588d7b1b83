"""Evidently's page. It takes seconds to import: tests that load it are slow."""

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

from ml_assets.monitoring.drift import distances
from ml_assets.monitoring.drift.compare import drift
from ml_assets.monitoring.drift.evidently import SignificanceRule, write
from ml_assets.monitoring.drift.feature import Kind
from ml_assets.monitoring.drift.samples import InMemory
from ml_assets.monitoring.html_files import prune
from ml_assets.spec.drift import DriftSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUMERIC, _CATEGORICAL = ["recency", "constant", "empty"], ["country", "one"]


def _table(rows: int, shift: float) -> pa.Table:
    rng = np.random.default_rng(5)
    return pa.table(
        {
            "recency": pa.array(rng.exponential(40, rows) + shift, mask=rng.random(rows) < 0.05),
            "constant": np.ones(rows),
            "empty": pa.nulls(rows),
            "country": pa.array(rng.choice(["UK", "Europe"], rows, p=[0.8 - shift / 100, 0.2 + shift / 100])),
            "one": ["same"] * rows,
        }
    )


def _kinds(*features: str) -> dict[str, Kind]:
    return {name: "numeric" if name in _NUMERIC else "categorical" for name in features}


def test_only_the_last_reports_written_are_kept(tmp_path: Path) -> None:
    for day, written in (("2011-03-06", 30), ("2011-03-13", 10), ("2011-03-20", 20)):
        path = tmp_path / f"{day}.html"
        path.touch()
        os.utime(path, (written, written))
    (tmp_path / "notes.txt").touch()
    assert [path.stem for path in prune(tmp_path, keep=2)] == ["2011-03-13"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "2011-03-06.html",
        "2011-03-20.html",
        "notes.txt",
    ]


@pytest.mark.slow
def test_evidently_shows_the_numbers_of_the_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of samples that it shows whole; of larger ones it says how many rows it shows."""
    before, after, path = _table(900, 0), _table(800, 20), tmp_path / "drift" / "2011-03-06.evidently.html"
    spec, kinds = DriftSpec(sample=1000), _kinds(*_NUMERIC, *_CATEGORICAL)
    found = drift(before, after, _NUMERIC, _CATEGORICAL, spec)
    scores = write(path, InMemory(before), InMemory(after), kinds, SignificanceRule(spec, found.chance))
    assert scores is not None
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert "PSI, 10 bins of the reference" in path.read_text()
    assert "A sample: 900 of 900 rows of the reference, 800 of 800 current ones." in path.read_text()
    assert not any(name == "empty" for name, _ in scores)
    recency, country = found.features["recency"], found.features["country"]
    assert scores["recency", f"psi_10_{found.chance!r}"] == recency.psi
    assert scores["recency", "ks_p_value"] == recency.ks_p_value
    assert scores["country", f"jensen_shannon_{found.chance!r}"] == country.jensen_shannon
    assert scores["country", "chi_square_p"] == country.chi_square_p
    few = write(
        path, InMemory(before), InMemory(after), _kinds("recency"), SignificanceRule(DriftSpec(sample=100), 0.01)
    )
    assert few is not None
    assert "A sample: 100 of 900 rows of the reference, 100 of 800 current ones." in path.read_text()
    assert write(path, InMemory(before), InMemory(after), _kinds("empty"), SignificanceRule(spec, 0.01)) is None
    assert capsys.readouterr() == ("", "")


def _stat_test(name: str, before: "NDArray[Any]", after: "NDArray[Any]") -> float:
    """Evidently's own function of that name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from evidently.legacy.calculations.stattests import get_stattest
        from evidently.legacy.core import ColumnType

    test = get_stattest(pd.Series(before), pd.Series(after), ColumnType.Numerical, name)
    return float(test(pd.Series(before), pd.Series(after), ColumnType.Numerical, None).drift_score)


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 0.02, 0.5])
@pytest.mark.parametrize("of", ["normal", "exponential", "poisson"])
def test_psi_and_ks_are_those_of_evidently_on_the_same_bins_and_samples(of: str, shift: float) -> None:
    """Up to twenty values are bins of their own for its PSI: it is given the bins as numbers."""
    rng = np.random.default_rng(1)
    before, after = (getattr(rng, of)(size=size) for size in (30_000, 12_000))
    after = after + shift
    ours = drift(pa.table({"x": before}), pa.table({"x": after}), ["x"], [], DriftSpec()).features["x"]
    edges = distances.bin_edges(np.sort(before.astype(float)), 10)
    bins = [np.searchsorted(edges, values, side="right") for values in (before, after)]
    assert ours.psi == pytest.approx(_stat_test("psi", bins[0], bins[1]), rel=1e-9)
    assert ours.ks_p_value == pytest.approx(_stat_test("ks", before, after), rel=1e-9, abs=1e-300)
    assert ours.ks_statistic == pytest.approx(stats.ks_2samp(before, after).statistic, abs=1e-12)


@pytest.mark.slow
def test_evidently_agrees_where_it_computes_the_same_thing() -> None:
    """Its Jensen–Shannon distance is ours; its K-S p-value of few rows is exact, ours a little larger."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from evidently import DataDefinition, Dataset, Report
        from evidently.metrics import ValueDrift

    tables = (_table(3000, 0), _table(2000, 20))
    found = drift(tables[0], tables[1], ["recency"], ["country"], DriftSpec(), None).features
    kinds = DataDefinition(numerical_columns=["recency"], categorical_columns=["country"])
    before, after = (Dataset.from_pandas(table.to_pandas(), data_definition=kinds) for table in tables)
    metrics = [
        ValueDrift(column="recency", method="ks"),
        ValueDrift(column="country", method="jensenshannon"),
    ]
    p_value, apart = (metric["value"] for metric in Report(metrics).run(after, before).dict()["metrics"])
    assert found["recency"].ks_p_value == pytest.approx(p_value, rel=0.2)
    assert (found["recency"].ks_p_value or 0) >= p_value
    assert found["country"].jensen_shannon == pytest.approx(apart)


_OFFLINE = """
import socket, sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        print("called out:", event, arguments[-1], flush=True)
sys.addaudithook(refuse)
import pathlib, pyarrow as pa
from ml_assets.monitoring.drift.compare import drift
from ml_assets.spec.drift import DriftSpec
table, path = pa.table({"recency": [1.0, 2.0, 3.0] * 100}), pathlib.Path(sys.argv[1])
drift(table, table, ["recency"], [], DriftSpec(), path)
print("evidently" in sys.modules, "scipy.stats" in sys.modules)
"""
_EVIDENTLY = """
from ml_assets.monitoring.drift.evidently import SignificanceRule, write
from ml_assets.monitoring.drift.samples import InMemory
write(path, InMemory(table), InMemory(table), {"recency": "numeric"}, SignificanceRule(DriftSpec(), 0.01))
"""


def _run(code: str, path: Path) -> str:
    environment = {**os.environ, "EVIDENTLY_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "true"}
    return subprocess.run(
        [sys.executable, "-c", code, str(path)], env=environment, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.slow
def test_evidently_calls_nobody_and_prints_nothing(tmp_path: Path) -> None:
    path = tmp_path / "report.evidently.html"
    assert _run(_OFFLINE + _EVIDENTLY, path) == "False False\n"
    assert path.exists()


@pytest.mark.slow
def test_our_page_needs_neither_evidently_nor_the_network(tmp_path: Path) -> None:
    assert _run(_OFFLINE, tmp_path / "report.html") == "False False\n"
    assert (tmp_path / "report.html").exists()
