"""Two runs never write the same asset at once, and what was killed keeps nobody waiting: real processes, SIGKILL."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from ml_assets.components.dead_runs import CLI, HOST, end_dead_run, free_dead_slots
from ml_assets.settings import PROJECT


@dataclass(frozen=True)
class Home:
    """An instance with the project's `dagster.yaml`, and the file in which runs note what they do."""

    instance: dg.DagsterInstance
    environment: Mapping[str, str]
    noted: Path

    def start(self, seconds: float) -> "subprocess.Popen[bytes]":
        """A run of the asset, in a process of its own."""
        command = [sys.executable, "-m", "ml_assets_tests.components.slow_asset", str(self.noted), str(seconds)]
        return subprocess.Popen(command, env=self.environment, cwd=PROJECT, stderr=subprocess.DEVNULL)

    def lines(self) -> list[str]:
        """What the runs noted."""
        return self.noted.read_text(encoding="utf-8").split() if self.noted.exists() else []

    def kill_within_its_step(self) -> None:
        """A run that is killed while it writes."""
        process, until = self.start(60), time.monotonic() + 90
        while not self.lines() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.noted.unlink()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("DAGSTER_HOME", str(PROJECT))
    monkeypatch.setenv("ML_ASSETS_DAGSTER", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        yield Home(instance, dict(os.environ), tmp_path / "noted")


@pytest.mark.timeout(300)
def test_two_runs_of_the_same_folder_do_not_write_at_once(home: Home) -> None:
    processes = [home.start(3) for _ in range(2)]
    assert [process.wait(timeout=240) for process in processes] == [0, 0]
    assert home.lines() == ["begins", "ends"] * 2
    assert home.instance.event_log_storage.get_concurrency_keys() == {"late/slow_table"}


@pytest.mark.timeout(300)
def test_what_a_killed_run_held_is_freed(home: Home) -> None:
    home.kill_within_its_step()
    (run,) = home.instance.get_runs()
    assert free_dead_slots(home.instance) == [run.run_id]
    assert free_dead_slots(home.instance) == []
    home.kill_within_its_step()
    (second,) = [each for each in home.instance.get_runs(dg.RunsFilter(tags={CLI: "late"})) if each != run]
    end_dead_run(home.instance, second, "The process was killed")
    assert home.start(0).wait(timeout=120) == 0
    assert home.lines() == ["begins", "ends"]


def test_runs_of_other_machines_are_left_alone(home: Home) -> None:
    storage = home.instance.event_log_storage
    run = home.instance.create_run_for_job(dg.job(name="far")(lambda: None), tags={CLI: "late", HOST: "elsewhere"})
    storage.initialize_concurrency_limit_to_default("late/slow_table")
    assert storage.claim_concurrency_slot("late/slow_table", run.run_id, "slow_table").is_claimed
    assert free_dead_slots(home.instance) == []
