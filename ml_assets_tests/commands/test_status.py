import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from rich.console import Console

from ml_assets.commands.status import tables
from ml_assets.commands.titled_table import print_table
from ml_assets.ingest.ingest import ingest
from ml_assets.ingest.source_state import SourceState, source_state
from ml_assets.monitoring.drift.table import LatestDrift, latest_drift
from ml_assets.monitoring.overview import ChampionState, UnknownChampion, champions, explain_champion
from ml_assets.spec.source import SourceSpec
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets.training.release import LedgerRelease, append
from ml_assets.training.score import LatestPredictions, latest_predictions
from ml_assets_tests.conftest import shared
from ml_assets_tests.processes import environment

FIRST, SECOND = date(2026, 11, 8), date(2026, 11, 15)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), shared)


def test_where_there_is_nothing_nothing_is_said(lake: Lake) -> None:
    assert latest_predictions(lake, "m") is None
    assert latest_drift(lake, "m") is None
    assert explain_champion(lake, "m", None) is None
    assert source_state(lake, "m/raw/events") == SourceState(0, 0, 0, None, [], [])


def test_only_the_last_predictions_count(lake: Lake) -> None:
    for day, version, scores in ((FIRST, 1, [0.1, 0.2, 0.3]), (SECOND, 2, [0.4, 0.6])):
        columns = {"as_of": [day] * len(scores), "score": scores, "model_version": [version] * len(scores)}
        lake.replace("m/predictions", pa.table(columns), values=[day])
    assert latest_predictions(lake, "m") == LatestPredictions(SECOND, entities=2, model_version=2, mean_score=0.5)


def test_only_the_features_that_drifted_last_are_named(lake: Lake) -> None:
    for day, drifted in ((FIRST, [True, True]), (SECOND, [False, True])):
        columns = {"as_of": [day] * 2, "feature": ["a", "b"], "drifted": drifted, "reason": ["psi 0.1", "psi 0.4"]}
        lake.replace("m/drift_report", pa.table(columns), values=[day])
    assert latest_drift(lake, "m") == LatestDrift(SECOND, features=2, drifted={"b": "psi 0.4"})


def test_rows_of_a_source_are_those_of_its_committed_files(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "a.csv").write_text("id,at\n1,2026-11-01T00:00:00\n2,2026-11-02T03:04:05\n")
    ingest(lake, "m/raw/events", SourceSpec(name="events", files="events/*.csv", event_time="at"), tmp_path)
    assert source_state(lake, "m/raw/events") == SourceState(1, 2, 0, "2026-11-02T03:04:05", [], [])


def test_an_alias_that_was_moved_by_hand_is_said_to_be(lake: Lake) -> None:
    at = datetime(2026, 11, 15, 12)  # noqa: DTZ001 - the lake's times are naive UTC
    append(lake, "m", LedgerRelease(SECOND, 2, "run", None, "all passed", "{}", at, "promoted"), "version=2")
    known = [ChampionState(number, "2026-11-15", "run", {}) for number in (2, 1)]
    stands, moved = (explain_champion(lake, "m", champion) for champion in known)
    assert stands == replace(known[0], since="2026-11-15", decision="promoted", reason="all passed")
    assert isinstance(moved, ChampionState)
    assert moved.since is None
    assert "by hand" in moved.reason
    silent = UnknownChampion("it does not answer")
    assert explain_champion(lake, "m", silent) == silent


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
        print_table(title, lines, console)
    assert isinstance(console.file, io.StringIO)
    assert "none yet" in console.file.getvalue()
    assert "x/defs.yaml:3: wrong" in console.file.getvalue()


def test_a_rollout_has_a_line_where_there_is_one() -> None:
    nothing = dict.fromkeys(("last_run", "candidate", "champion", "predictions", "drift", "verdict"))
    lines: dict[str, str | None] = {"a": None, "b": "7-1 [red]"}
    none: dict[str, object] = {**nothing, "sources": {}}
    models = {name: {**none, "rollout": line, "experiments": line} for name, line in lines.items()}
    whole = tables({"models": models, "broken": {}, "left_over": {}, "runs": {"in_progress": [], "failed": []}})
    assert "rollout" not in dict(whole["a"])
    assert dict(whole["b"])["rollout"] == r"7-1 \[red]"
    assert dict(whole["b"])["experiments"] == r"7-1 \[red]"


def test_a_registry_that_cannot_be_asked_is_said_to_be(tmp_path: Path) -> None:
    before = dict(os.environ)
    (tmp_path / "mlflow.db").write_bytes(b"no database at all, but something longer than a header of one" * 9)
    for name, said in (("mlflow.db", "file is not a database"), ("gone.db", "was data/mlflow removed?")):
        champion = champions(Registry(f"sqlite:///{tmp_path}/{name}"), ["m"])["m"]
        assert isinstance(champion, UnknownChampion)
        assert said in champion.unknown
    assert dict(os.environ) == before


def test_the_champion_of_an_embedded_database_is_read_without_mlflow() -> None:
    """Which takes as long to import as all the rest of a status."""
    command = "import sys; from ml_assets.commands.status import with_champions; "
    command += "from ml_assets.monitoring.overview import champions; from ml_assets.storage.registry import Registry; "
    command += "champions(Registry('sqlite:///gone.db'), ['m']); print('mlflow' in sys.modules)"
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
