import io
import json
import os
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from rich.console import Console

from ml_assets.commands.file_states import state as _source
from ml_assets.commands.status import _champion, _drift, _predictions, champions, tables
from ml_assets.commands.titled_table import put
from ml_assets.decisions.gate import GateAction
from ml_assets.decisions.verdict import Verdict
from ml_assets.ingest.ingest import ingest
from ml_assets.spec.source import SourceSpec
from ml_assets.storage.lake import Lake
from ml_assets.training.release import append
from ml_assets_tests.conftest import shared
from ml_assets_tests.processes import environment

FIRST, SECOND = date(2026, 11, 8), date(2026, 11, 15)


NOTHING: dict[str, list[object]] = {"quarantine_reasons": [], "left": []}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), shared)


def test_where_there_is_nothing_nothing_is_said(lake: Lake) -> None:
    assert _predictions(lake, "m") is None
    assert _drift(lake, "m") is None
    assert _champion(lake, "m", None) is None
    assert _source(lake, "m/raw/events") == {"files": 0, "rows": 0, "quarantined": 0, "last_event": None, **NOTHING}


def test_only_the_last_predictions_count(lake: Lake) -> None:
    for day, version, scores in ((FIRST, 1, [0.1, 0.2, 0.3]), (SECOND, 2, [0.4, 0.6])):
        columns = {"as_of": [day] * len(scores), "score": scores, "model_version": [version] * len(scores)}
        lake.replace("m/predictions", pa.table(columns), values=[day])
    assert _predictions(lake, "m") == {"as_of": SECOND, "entities": 2, "model_version": 2, "mean_score": 0.5}


def test_only_the_features_that_drifted_last_are_named(lake: Lake) -> None:
    for day, drifted in ((FIRST, [True, True]), (SECOND, [False, True])):
        columns = {"as_of": [day] * 2, "feature": ["a", "b"], "drifted": drifted, "reason": ["psi 0.1", "psi 0.4"]}
        lake.replace("m/drift_report", pa.table(columns), values=[day])
    assert _drift(lake, "m") == {"as_of": SECOND, "features": 2, "drifted": {"b": "psi 0.4"}}


def test_rows_of_a_source_are_those_of_its_committed_files(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "a.csv").write_text("id,at\n1,2026-11-01T00:00:00\n2,2026-11-02T03:04:05\n")
    ingest(lake, "m/raw/events", SourceSpec(name="events", files="events/*.csv", event_time="at"), tmp_path)
    found = _source(lake, "m/raw/events")
    assert found == {"files": 1, "rows": 2, "quarantined": 0, "last_event": "2026-11-02T03:04:05", **NOTHING}


def test_an_alias_that_was_moved_by_hand_is_said_to_be(lake: Lake) -> None:
    from ml_assets.storage.registry import Version

    at = datetime(2026, 11, 15, 12)  # noqa: DTZ001 - the lake's times are naive UTC
    append(
        lake,
        Version("m", 2, "run", {}),
        None,
        "promoted",
        Verdict(GateAction.SHIP, "all passed", ()).reason,
        "{}",
        SECOND,
        at,
        "version=2",
    )
    standing = _champion(lake, "m", {"version": 2})
    moved = _champion(lake, "m", {"version": 1})
    assert standing == {"version": 2, "since": "2026-11-15", "decision": "promoted", "reason": "all passed"}
    assert moved is not None
    assert moved["since"] is None
    assert "by hand" in moved["reason"]
    assert _champion(lake, "m", "it does not answer") == {"unknown": "it does not answer"}


def test_the_table_shows_a_model_of_which_nothing_is_known() -> None:
    nothing = dict.fromkeys(("last_run", "candidate", "champion", "predictions", "drift", "verdict"))
    found = {
        "models": {"m": {**nothing, "sources": {}}},
        "broken": {"x": "x/defs.yaml:3: wrong"},
        "left_over": {},
        "runs": {"in_progress": [], "failed": []},
    }
    console = Console(width=80, file=io.StringIO())
    for title, lines in tables(found).items():
        put(title, lines, console)
    assert isinstance(console.file, io.StringIO)
    assert "none yet" in console.file.getvalue()
    assert "x/defs.yaml:3: wrong" in console.file.getvalue()


def test_a_registry_that_cannot_be_asked_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    (tmp_path / "mlflow.db").write_bytes(b"no database at all, but something longer than a header of one" * 9)
    for name, said in (("mlflow.db", "file is not a database"), ("gone.db", "was data/mlflow removed?")):
        found = champions(f"sqlite:///{tmp_path}/{name}", ["m"])["m"]
        assert isinstance(found, str)
        assert said in found


def test_the_champion_of_an_embedded_database_is_read_without_mlflow() -> None:
    """Which takes as long to import as all the rest of a status."""
    command = "import sys; from ml_assets.commands.status import champions; "
    command += "champions('sqlite:///gone.db', ['m']); print('mlflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.slow
def test_a_fresh_project_has_a_status_and_a_registry_is_not_asked(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "ml-assets"), "status", "--json"]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=True)
    models = json.loads(done.stdout)["models"]
    assert {"churn", "retail"} <= models.keys()
    assert models["churn"]["champion"] is None
    assert models["churn"]["sources"]["transactions"]["rows"] == 0
    assert not (tmp_path / "mlflow").exists()
