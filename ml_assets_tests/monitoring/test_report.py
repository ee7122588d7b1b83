"""The HTML page. Evidently takes seconds to import: tests that load it are slow."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from ml_assets.monitoring.drift import drift
from ml_assets.monitoring.report import prune, write
from ml_assets.monitoring.samples import Sample, draw
from ml_assets.monitoring.spec import DriftSpec

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


def _sample(table: pa.Table) -> Sample:
    return draw("any", table, _NUMERIC, _CATEGORICAL, sample=1000, seed=0)


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
def test_the_page_shows_the_numbers_of_the_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after, path = _table(3000, 0), _table(2000, 20), tmp_path / "drift" / "2011-03-06.html"
    spec = DriftSpec(sample=1000)
    found = drift(before, after, _NUMERIC, _CATEGORICAL, spec, path)
    assert found.html == str(path)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert path.stat().st_size > 1_000_000
    assert "PSI, 10 bins of the reference" in path.read_text()
    scores = write(path, _sample(before), _sample(after), ["recency", "constant", "country", "one"], spec)
    recency, country = found.features["recency"], found.features["country"]
    assert scores["recency", "psi_10_0.001"] == recency.psi
    assert scores["recency", "ks_p_value"] == recency.ks_p_value
    assert scores["country", "jensen_shannon_0.001"] == country.jensen_shannon
    assert scores["country", "chi_square_p"] == country.chi_square_p
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_evidently_agrees_where_it_computes_the_same_thing() -> None:
    """Its K-S p-value and Jensen–Shannon distance are ours."""
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
    exact = stats.ks_2samp(*(table["recency"].drop_null().to_numpy() for table in tables)).pvalue
    assert p_value == pytest.approx(exact)
    assert found["recency"].ks_p_value == pytest.approx(p_value, rel=0.2)
    assert found["country"].jensen_shannon == pytest.approx(apart)


_OFFLINE = """
import socket, sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        print("called out:", event, arguments[-1], flush=True)
sys.addaudithook(refuse)
import pathlib, pyarrow as pa
from ml_assets.monitoring.drift import drift
from ml_assets.monitoring.spec import DriftSpec
table = pa.table({"recency": [1.0, 2.0, 3.0] * 100})
drift(table, table, ["recency"], [], DriftSpec(), pathlib.Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_report_calls_nobody_and_prints_nothing(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    environment = {**os.environ, "EVIDENTLY_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "true"}
    done = subprocess.run(
        [sys.executable, "-c", _OFFLINE, str(path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert path.exists()
    assert done.stdout == ""


@pytest.mark.slow
def test_numbers_alone_do_not_load_evidently(tmp_path: Path) -> None:
    code = _OFFLINE.replace("pathlib.Path(sys.argv[1])", "None") + "\nprint('evidently' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
