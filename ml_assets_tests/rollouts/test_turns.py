"""Of the rollouts and experiments of a model one runs at a time: a second one is refused by the name of the first."""

from datetime import datetime
from pathlib import Path

import pytest

from ml_assets.rollouts.turns import TurnTakenError, end_turn, take_turn, turn_holder
from ml_assets.storage.lake import Lake
from ml_assets_tests.processes import race

NOW = datetime(2026, 6, 1)  # noqa: DTZ001 - naive UTC


def test_a_second_one_is_refused_by_the_name_of_the_first(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    take_turn(lake, "churn", "experiment price", NOW)
    take_turn(lake, "churn", "experiment price", NOW)
    with pytest.raises(
        TurnTakenError, match=r"rollout 7-1 cannot begin while experiment price runs \(since 2026-06-01"
    ):
        take_turn(lake, "churn", "rollout 7-1", NOW)
    take_turn(lake, "retail", "rollout 2-1", NOW)
    with pytest.raises(TurnTakenError, match="end it with `ml-assets rollout retail roll-back"):
        take_turn(lake, "retail", "experiment price", NOW)


def test_a_turn_is_given_back_by_who_has_it(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    end_turn(lake, "churn", "rollout 7-1", NOW)
    take_turn(lake, "churn", "experiment price", NOW)
    end_turn(lake, "churn", "rollout 7-1", NOW)
    assert turn_holder(lake, "churn") == "experiment price"
    end_turn(lake, "churn", "experiment price", NOW)
    end_turn(lake, "churn", "experiment price", NOW)
    assert turn_holder(lake, "churn") is None
    take_turn(lake, "churn", "rollout 7-1", NOW)
    assert turn_holder(lake, "churn") == "rollout 7-1"


def _race(root: str, holder: str) -> bool:
    try:
        take_turn(Lake(root), "churn", holder, NOW)
    except TurnTakenError:
        return False
    return True


def test_of_processes_that_begin_at_once_one_does(tmp_path: Path) -> None:
    holders = [f"experiment e{number}" for number in range(4)]
    begun = race(_race, [(str(tmp_path), each) for each in holders])
    assert sum(begun) == 1
    assert turn_holder(Lake(str(tmp_path)), "churn") == holders[begun.index(True)]
