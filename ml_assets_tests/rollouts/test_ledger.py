"""The ledger of rollouts: of many that take a step one writes it, and all act on what it wrote."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ml_assets.rollouts.ledger import RolloutStep, claim, ledger
from ml_assets.storage.lake import Lake
from ml_assets_tests.processes import race

FIRST = RolloutStep(
    rollout="7-1", step=0, at=datetime(2026, 6, 1), actor="asset", action="start", stage=0, share=0.1,  # noqa: DTZ001 - naive UTC
    reason="it passed its gates", control=6, challenger=7, began=0, began_at=datetime(2026, 6, 1), salt="churn/7-1",  # noqa: DTZ001
    policy="{}", baseline="{}", evidence="{}", store="a",
)  # fmt: skip


def test_a_step_that_stands_is_not_taken_again(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    assert claim(lake, "churn", FIRST) == FIRST
    assert claim(lake, "churn", replace(FIRST, action="roll_back", reason="late")) == FIRST
    second = replace(FIRST, step=1, action="advance", stage=1, share=0.5, began=1)
    assert claim(lake, "churn", second) == second
    assert ledger("churn").history(lake) == [FIRST, second]
    assert (FIRST.experiment, second.experiment, second.is_open) == ("7-1/0", "7-1/1", True)


def _race(root: str, actor: str) -> list[str]:
    lake = Lake(root)
    return [claim(lake, "churn", replace(FIRST, step=step, actor=actor)).actor for step in range(8)]


def test_of_processes_that_race_for_steps_one_takes_each(tmp_path: Path) -> None:
    taken = race(_race, [(str(tmp_path), f"actor {number}") for number in range(4)])
    stands = [row.actor for row in ledger("churn").history(Lake(str(tmp_path)))]
    assert len(stands) == 8
    assert all(actors == stands for actors in taken)
