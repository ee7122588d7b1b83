"""A run that is killed at any moment and run again ends as if it had not been killed: real processes, SIGKILL."""

import json
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from deltalake import DeltaTable
from mlflow import MlflowClient

from ml_assets.settings import PROJECT
from ml_assets_tests.first_loop import END, first_loop
from ml_assets_tests.preloaded import Preloaded
from ml_assets_tests.processes import environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]  # nineteen runs of the loop

# Where a run is killed: in which step, and how many seconds after its start; in the order of the loop, because what one
# killed run has finished the next one only looks at. No run can end before: what follows takes longer.
MOMENTS = (
    ("raw/customers", 2.0),
    ("raw/transactions", 0.3),
    ("features/purchases", 0.1),
    ("labels", 0.5),
    ("training_set", 0.5),
    ("training_set", 2.0),
    ("model", 1.0),
    ("model", 3.0),
    ("model", 5.0),
    ("evaluation_report", 1.0),
    ("evaluation_report", 2.0),
    ("release_record", 0.2),
    ("champion", 0.05),
    ("online_features", 0.2),
    ("predictions", 0.3),
    ("drift_report", 0.5),
    ("performance_report", 0.5),
    ("retraining_verdict", 0.0),
)
# What says when, where, under which random id, or how fast (`evidence` holds latencies): nothing else may differ.
VOLATILE = {
    "run_id", "decided_at", "created_at", "written_at", "delivered", "evidence", "batch", "html", "evidently", "store",
}  # fmt: skip


@dataclass(frozen=True)
class Loop:
    """`ml-assets` over a data folder of its own."""

    data: Path

    def start(self, *arguments: str) -> Preloaded:
        pipe = subprocess.PIPE
        return Preloaded(*arguments, env=environment(self.data), stdout=pipe, stderr=pipe)

    def run(self) -> dict[str, Any]:
        with self.start("run", "churn", "--as-of", END, "--json") as process:
            said, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        answer: dict[str, Any] = json.loads(said)["churn"]
        return answer

    def kill_in(self, step: str, after: float) -> None:
        """Start a run, wait until `step` has begun, and kill it `after` seconds later."""
        before = self.begun(step)
        with self.start("run", "churn", "--as-of", END) as process:
            while process.poll() is None and self.begun(step) == before:
                time.sleep(0.02)
            time.sleep(after)
            process.send_signal(signal.SIGKILL)
            _, errors = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, f"the run ended before it was killed in {step}: {errors}"

    def make_instance(self) -> None:
        """Make the empty databases of Dagster, so that nobody reads them while they are made."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ML_ASSETS_DAGSTER", str(self.data / "dagster"))
            with dg.DagsterInstance.from_config(str(PROJECT)) as instance:
                assert instance.get_run_ids() == []

    def begun(self, step: str) -> int:
        """How often a step has begun, read from Dagster's file: its instance would take a processor from the run."""
        log = self.data / "dagster" / "event_log.db"
        asked = "SELECT count(*) FROM event_logs WHERE dagster_event_type = 'STEP_START' AND step_key = ?"
        with closing(sqlite3.connect(f"file:{log}?mode=ro", timeout=60, uri=True)) as database:
            return int(database.execute(asked, [f"churn__{step.replace('/', '__')}"]).fetchone()[0])

    def state(self) -> dict[str, Any]:
        """Everything that the loop keeps: rows, versions, the champion, runs and reports."""
        lake = self.data / "lake"
        tables = {str(log.parent.relative_to(lake)): log.parent for log in sorted(lake.rglob("_delta_log"))}
        return {
            "rows": {name: _rows(path) for name, path in tables.items()},
            "registry": _registry(f"sqlite:///{self.data}/mlflow/mlflow.db"),
            "reports": sorted(path.name for path in (self.data / "reports").rglob("*.html")),
            "incoming": sorted(path.name for path in (self.data / "incoming").rglob("*")),
        }


def _rows(path: Path) -> list[str]:
    table = DeltaTable(path).to_pyarrow_table()
    if path.name == "release_record":  # entries hold run ids, latencies and hashes of them
        table = table.select(["number", "stage", "version"])
    kept = table.select([name for name in table.column_names if name not in VOLATILE])
    return sorted(map(repr, kept.to_pylist()))


def _registry(uri: str) -> dict[str, Any]:
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    found = client.search_model_versions("name = 'churn'")
    experiments = [item.experiment_id for item in client.search_experiments()]
    runs = client.search_runs(experiments)
    tags = ("as_of", "recipe", "sha256", "verdict", "reason")
    return {
        "versions": [(item.version, *(item.tags[tag] for tag in tags)) for item in found],
        "champion": client.get_registered_model("churn").aliases,
        "runs": sorted(
            (run.info.run_name, run.info.status, sorted(run.data.params.items()), sorted(run.data.metrics))
            for run in runs
        ),
    }


def test_a_loop_that_is_killed_again_and_again_ends_as_if_it_had_not_been(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    first, loop = first_loop(tmp_path_factory), Loop(tmp_path / "killed")
    shutil.copytree(first.simulated, loop.data)  # with the times of the files
    loop.make_instance()
    expected = first.answer
    assert expected["champion"], "the gates must pass, or the loop ends before its last steps"
    for moment in MOMENTS:
        loop.kill_in(*moment)
    answer = loop.run()
    assert answer["champion"]["version"] == expected["champion"]["version"] == 1
    assert answer["metrics"] | {"latency_p99_ms": 0} == expected["metrics"] | {"latency_p99_ms": 0}
    assert loop.state() == Loop(first.data).state()
