"""A run that is killed at any moment and run again ends as if it had not been killed: real processes, SIGKILL."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from deltalake import DeltaTable
from mlflow import MlflowClient

from ml_assets.settings import PROJECT
from ml_assets_tests.processes import environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]  # nineteen runs of the loop

END = "2026-08-30"
COMMAND = Path(sys.executable).with_name("ml-assets")
# Where a run is killed: in which step, and how many seconds after its start; in the order of the loop, because what one
# killed run has finished the next one only looks at. No run can end before: what follows takes longer.
DRAWN = 8
"""So many of the moments are tried in a run of the tests, other ones in each: all of them take ten minutes."""

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

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [COMMAND, *arguments],
            env=environment(self.data),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, *arguments: str) -> str:
        with self.start(*arguments) as process:
            said, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        return said

    def run(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.finish("run", "churn", "--as-of", END, "--json"))["churn"]
        return answer

    def kill_in(self, step: str, after: float) -> None:
        """Start a run, wait until `step` has begun, and kill it `after` seconds later."""
        with self.instance() as instance:
            before = set(instance.get_run_ids())
            with self.start("run", "churn", "--as-of", END) as process:
                while process.poll() is None and not _begun(instance, step, before):
                    time.sleep(0.05)
                time.sleep(after)
                process.send_signal(signal.SIGKILL)
                _, errors = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, f"the run ended before it was killed in {step}: {errors}"

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ML_ASSETS_DAGSTER", str(self.data / "dagster"))
            with dg.DagsterInstance.from_config(str(PROJECT)) as instance:
                yield instance

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


def _begun(instance: dg.DagsterInstance, step: str, before: set[str]) -> bool:
    """Whether a run that was not there before has begun a step."""
    wanted = f"churn__{step.replace('/', '__')}"
    return any(
        entry.step_key == wanted
        for run in set(instance.get_run_ids()) - before
        for entry in instance.all_logs(run, of_type=dg.DagsterEventType.STEP_START)
    )


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


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    loop = Loop(tmp_path_factory.mktemp("undisturbed"))
    loop.finish("data", "simulate", "--customers", "600", "--months", "20", "--end", END, "--seed", "3")
    return loop


def test_a_loop_that_is_killed_again_and_again_ends_as_if_it_had_not_been(undisturbed: Loop, tmp_path: Path) -> None:
    loop = Loop(tmp_path / "killed")
    shutil.copytree(undisturbed.data, loop.data)  # with the times of the files
    expected = undisturbed.run()
    assert expected["champion"], "the gates must pass, or the loop ends before its last steps"
    for moment in sorted(random.sample(MOMENTS, DRAWN), key=MOMENTS.index):
        loop.kill_in(*moment)
    answer = loop.run()
    assert answer["champion"]["version"] == expected["champion"]["version"] == 1
    assert answer["metrics"] | {"latency_p99_ms": 0} == expected["metrics"] | {"latency_p99_ms": 0}
    assert loop.state() == undisturbed.state()
