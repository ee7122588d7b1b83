"""Two runs never write the same asset at once, and what was killed keeps nobody waiting: real processes, SIGKILL."""

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import dagster as dg
import pytest

from ml_assets.components.dead_runs import CLI, HOST, end_dead_run, free_dead_slots
from ml_assets.settings import PROJECT
from ml_assets_tests.components import slow_asset

# Each run is a process of its own; Dagster is imported once for all of them.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([slow_asset.__name__])


@dataclass(frozen=True)
class Home:
    """An instance with the project's `dagster.yaml`; what runs note there, and the file that lets them end."""

    instance: dg.DagsterInstance
    environment: Mapping[str, str]
    noted: Path
    may_end: Path

    def start(self) -> ForkServerProcess:
        """A run of the asset, in a process of its own."""
        process = PROCESSES.Process(target=slow_asset.run, args=(self.environment, self.noted, self.may_end))
        process.start()
        return process

    def lines(self) -> list[str]:
        """What the runs noted."""
        return self.noted.read_text(encoding="utf-8").split() if self.noted.exists() else []

    def kill_within_its_step(self) -> None:
        """A run that is killed while it writes."""
        process = self.start()
        wait_until(self.lines)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        self.noted.unlink()


def wait_until(happened: Callable[[], object]) -> None:
    until = time.monotonic() + 90
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    environment = {"DAGSTER_HOME": str(PROJECT), "ML_ASSETS_DAGSTER": str(tmp_path)}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as instance:
        yield Home(instance, environment, tmp_path / "noted", tmp_path / "may_end")


@pytest.mark.timeout(300)
def test_two_runs_of_the_same_folder_do_not_write_at_once(home: Home) -> None:
    processes = [home.start() for _ in range(2)]
    storage = home.instance.event_log_storage
    wait_until(lambda: storage.get_concurrency_info("late/slow_table").pending_step_count == 1)
    wait_until(home.lines)
    assert home.lines() == ["begins"]
    home.may_end.touch()
    for process in processes:
        process.join(timeout=240)
    assert [process.exitcode for process in processes] == [0, 0]
    assert home.lines() == ["begins", "ends"] * 2
    assert storage.get_concurrency_keys() == {"late/slow_table"}


@pytest.mark.timeout(300)
def test_what_a_killed_run_held_is_freed(home: Home) -> None:
    home.kill_within_its_step()
    (run,) = home.instance.get_runs()
    assert free_dead_slots(home.instance) == [run.run_id]
    assert free_dead_slots(home.instance) == []
    home.kill_within_its_step()
    (second,) = [each for each in home.instance.get_runs(dg.RunsFilter(tags={CLI: "late"})) if each != run]
    end_dead_run(home.instance, second, "The process was killed")
    home.may_end.touch()
    last = home.start()
    last.join(timeout=120)
    assert last.exitcode == 0
    assert home.lines() == ["begins", "ends"]


def test_runs_of_other_machines_are_left_alone(home: Home) -> None:
    storage = home.instance.event_log_storage
    run = home.instance.create_run_for_job(dg.job(name="far")(lambda: None), tags={CLI: "late", HOST: "elsewhere"})
    storage.initialize_concurrency_limit_to_default("late/slow_table")
    assert storage.claim_concurrency_slot("late/slow_table", run.run_id, "slow_table").is_claimed
    assert free_dead_slots(home.instance) == []
