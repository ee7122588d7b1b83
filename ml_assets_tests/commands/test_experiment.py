"""`ml-assets experiment`: how A/B tests stand, what one says, and its end by hand."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from ml_assets.commands import experiment
from ml_assets.errors import MlAssetsError
from ml_assets.events.store import EventStore
from ml_assets.rollouts.experiment import take_step
from ml_assets.rollouts.experiment_ledger import ledger
from ml_assets.storage.lake import Lake
from ml_assets_tests.rollouts.registered import MemoryRegistry
from ml_assets_tests.rollouts.simulated_users import START, Users, fill, spec


@dataclass
class SmallProject:
    """A project with one model."""

    lake: Lake
    registry: MemoryRegistry = field(default_factory=MemoryRegistry)
    models: tuple[str, ...] = ("churn",)

    def model(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(folder=name)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallProject:
    made = SmallProject(fill(tmp_path, Users(rates=(("a", 0.2), ("b", 0.3))).events()))
    monkeypatch.setattr(experiment, "_project", lambda: made)
    monkeypatch.setenv("COLUMNS", "200")
    return made


def said(*words: str) -> str:
    outcome = CliRunner().invoke(experiment.app, words)
    if isinstance(outcome.exception, MlAssetsError):
        return str(outcome.exception)
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def run(project: SmallProject, days: float) -> None:
    now = START + timedelta(days=days)
    with EventStore(f"sqlite:///{project.lake.root}/events.db") as store:
        take_step(
            project.lake, project.registry.any, store, "churn", spec(), now, actor="asset", entity="customer"
        )  # fmt: skip


def test_experiments_are_listed_with_how_they_stand(project: SmallProject) -> None:
    assert "No experiment has begun" in said("list")
    run(project, 0)
    assert "churn/price\tstart\t2026-06-01\tuntil 2026-06-15 00:00 UTC" in said("list", "churn")


def test_one_is_shown_with_its_numbers_and_what_to_do(project: SmallProject) -> None:
    run(project, 0)
    assert "start" in said("show", "churn", "price")
    run(project, 8)
    text = said("show", "churn", "price")
    assert "Ship b: b is better: +0." in text
    assert "version 7, 50% of the units, 1,994 exposed, 1,9" in text
    assert "churn has no experiment 'colour': there are price" in said("show", "churn", "colour")


def test_one_is_ended_for_a_reason(project: SmallProject) -> None:
    run(project, 0)
    assert "experiment price has ended" in said("stop", "churn", "price", "--reason", "prices were wrong")
    last = ledger("churn", "price").last(project.lake)
    assert last is not None
    assert (last.action, last.reason) == ("stop", "stopped: prices were wrong")
    assert "ended at" in said("stop", "churn", "price", "--reason", "again")
