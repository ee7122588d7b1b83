"""The loop runs itself: the real daemon, files that arrive, a drift, one retraining, one alert, its end; and a kill.

Nothing is called here but what a user calls: `ml-assets up`, and files that are put into the drop zone.
"""

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

import dagster as dg
import pytest

from ml_assets.alerts.delivery import list_undelivered
from ml_assets.alerts.outbox import alerts
from ml_assets.monitoring.verdict import LedgerVerdict, at
from ml_assets.settings import PROJECT
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets_tests.first_loop import END as FIRST
from ml_assets_tests.first_loop import first_loop
from ml_assets_tests.preloaded import COMMAND, call
from ml_assets_tests.processes import environment, gone, over
from ml_assets_tests.project_copy import copy_project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

END = date.fromisoformat(FIRST)
PATIENCE = 420.0
Found = TypeVar("Found")


@dataclass
class Inbox:
    """A web hook that keeps what it is told."""

    said: list[str] = field(default_factory=list)

    @contextmanager
    def open(self) -> Iterator[str]:
        said = self.said

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                said.append(f"{body['title']}\n{body['message']}")
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        server.server_close()


@dataclass
class Loop:
    """A data folder, a project whose only model is churn, and the daemon over both."""

    data: Path
    project: Path
    hook: str
    up: "subprocess.Popen[bytes] | None" = None

    @property
    def lake(self) -> Lake:
        return Lake(str(self.data / "lake"))

    def start(self) -> None:
        ports = [f"--{name}={_free()}" for name in ("port", "mlflow-port", "serve-port")]
        command = [str(COMMAND), "up", *ports]
        # MLflow's UI has nothing to do with the loop: where the database is named, `up` starts none (test_up.py does).
        tracking = f"sqlite:///{self.data}/mlflow/mlflow.db"
        own = {"ML_ASSETS_ALERTS": self.hook, "MLFLOW_TRACKING_URI": tracking, "PYTHONPATH": str(self.project)}
        with (self.data / "up.log").open("ab") as log:
            self.up = subprocess.Popen(command, env=environment(self.data, **own), stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL to `up`, as for want of memory: the daemon, its servers and the runs end with it."""
        self._running.kill()
        self._running.wait()
        assert gone(self.data), over(self.data)

    def restart(self) -> None:
        self.kill()
        self.start()

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        assert self.up is not None
        return self.up

    def wait(self, what: str, look: Callable[[], Found | None]) -> Found:
        """What `look` finds, once it finds something."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            assert self._running.poll() is None, self.log()
            if found := look():
                return found
            time.sleep(1)
        pytest.fail(f"{what} did not come within {PATIENCE:.0f} s: {self.runs()}\n{self.log()}")

    def log(self) -> str:
        return (self.data / "up.log").read_text()[-3000:]

    def week(self, *drift: str) -> None:
        """A week passes: its files arrive."""
        done = call("data", "simulate", "--append", "1", *drift, env=environment(self.data))
        assert done.returncode == 0, done.stderr

    def verdict(self, day: date) -> LedgerVerdict:
        """The verdict at a day, once the date is through: its alerts are judged after it."""
        return self.wait(f"the verdict of {day}", lambda: at(self.lake, "churn", day) if self._judged(day) else None)

    def _judged(self, day: date) -> bool:
        return (self.lake.record("churn/alerts", "judged") or 0) >= day.toordinal()

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        """Opened once: to open it each second takes a processor from the loop."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ML_ASSETS_DAGSTER", str(self.data / "dagster"))
            return dg.DagsterInstance.from_config(str(PROJECT))

    def runs(self) -> list[dg.DagsterRun]:
        return [*self.instance.get_runs()]

    def run_of(self, sensor: str, status: dg.DagsterRunStatus) -> dg.DagsterRun | None:
        return next(
            (run for run in self.runs() if run.tags.get("dagster/sensor_name") == sensor and run.status == status), None
        )

    def retraining(self, status: dg.DagsterRunStatus) -> dg.DagsterRun | None:
        """The run that a verdict started, or what took it up again."""
        return next((run for run in self.runs() if "ml_assets/verdict" in run.tags and run.status == status), None)


@pytest.fixture(scope="module")
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture(scope="module")
def loop(inbox: Inbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """A champion as of `END`, and the daemon."""
    with inbox.open() as hook:
        root = tmp_path_factory.mktemp("daemon")
        loop = Loop(root / "data", copy_project(root / "project", "retail", "documents"), hook)
        shutil.copytree(first_loop(tmp_path_factory).data, loop.data)
        loop.start()
        yield loop
        loop.kill()
        loop.instance.dispose()


def test_the_loop_runs_itself(loop: Loop, inbox: Inbox) -> None:
    days = [END + timedelta(weeks=number) for number in range(1, 6)]

    # Files arrive, nobody calls anything: features, predictions, reports, a verdict. The power fails during ingest.
    loop.week("--drift", "covariate")
    loop.wait("the ingest", lambda: loop.run_of("churn_data", dg.DagsterRunStatus.STARTED))
    loop.restart()
    assert loop.verdict(days[0]).action == "wait"
    for table in ("predictions", "online_features", "drift_report", "performance_report", "prediction_report"):
        assert _rows(loop.lake, f"churn/{table}", days[0]) > 0, table
    assert inbox.said == []

    # One odd week is a suspicion, though the power fails during its reports; the second in a row is a reason.
    loop.week()
    loop.wait("the reports", lambda: loop.run_of("churn_automation", dg.DagsterRunStatus.STARTED))
    loop.restart()
    assert loop.verdict(days[1]).action == "suspected"
    loop.week()
    found = loop.verdict(days[2])
    assert found.action in {"retrain", "wait"}  # `wait` once it has been retrained already

    # The daemon and the run are killed in the middle of the retraining, and start again.
    loop.wait("the retraining", lambda: loop.retraining(dg.DagsterRunStatus.STARTED))
    loop.restart()
    done = loop.wait("its end", lambda: loop.retraining(dg.DagsterRunStatus.SUCCESS))
    assert done.tags["dagster/partition"] == str(days[2])
    assert "2 of 2 in a row" in done.tags["reason"]
    registry = Registry(f"sqlite:///{loop.data}/mlflow/mlflow.db", str(loop.data / "mlflow" / "artifacts"))
    champion, last = registry.champion("churn"), registry.latest("churn")
    assert champion is not None
    assert last is not None
    assert (champion.number, last.number) == (2, 2), "one retraining, and its gates pass"
    told = loop.wait("the alert", lambda: [text for text in inbox.said if "detected" in text])
    assert len(told) == 1, inbox.said

    # The new champion knows the population as it is now: the alarm clears, and nothing is trained again.
    loop.week()
    assert loop.verdict(days[3]).action == "wait"
    loop.wait("the recovery", lambda: any("recovered" in text or "again" in text for text in inbox.said))
    started = {run.run_id for run in loop.runs() if "ml_assets/verdict" in run.tags and not run.parent_run_id}
    assert len(started) == 1
    assert registry.latest("churn") == last
    kinds = [str(alert.kind) for alert in alerts(loop.lake, "churn") if alert.rule == "detected_above"]
    assert kinds == ["fired", "recovered"]
    assert list_undelivered(loop.lake, ["churn"]) == []


def _rows(lake: Lake, table: str, day: date) -> int:
    found = lake.query("SELECT count(*) AS n FROM t WHERE as_of = $day", {"day": day}, t=table)
    return int(found["n"][0].as_py())


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
