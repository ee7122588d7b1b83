import math

import pytest
from pydantic import ValidationError

from ml_assets.errors import TrainingError
from ml_assets.spec.search import Choices, Range, SearchSpec, Value
from ml_assets.training.tuning import Trial, search

SPACE: dict[str, Range | Choices] = {
    "x": Range(low=-10.0, high=10.0),
    "n": Range(low=1, high=9),
    "kind": Choices(choices=("a", "b")),
}


def objective(parameters: dict[str, Value]) -> float:
    x, n = parameters["x"], parameters["n"]
    assert isinstance(x, float)
    assert isinstance(n, int)
    return -((x - 3) ** 2) - (n - 5) ** 2 - (parameters["kind"] == "a")


def test_the_same_seed_finds_the_same_and_another_one_tries_others() -> None:
    assert search(SPACE, 15, objective, 1) == search(SPACE, 15, objective, 1)
    assert search(SPACE, 15, objective, 1).trials != search(SPACE, 15, objective, 2).trials


def test_it_gets_near_the_optimum() -> None:
    assert search(SPACE, 80, objective, 0).value > -3


def test_progress_is_told_of_each_trial_in_order_and_the_best_is_returned() -> None:
    told: list[Trial] = []
    found = search(SPACE, 12, objective, 0, told.append)
    assert tuple(told) == found.trials
    assert [trial.number for trial in told] == list(range(12))
    assert found.value == max(trial.value for trial in told) == objective(found.parameters)


def test_a_combination_that_comes_up_again_is_not_fitted_again() -> None:
    fitted: list[Value] = []

    def count(parameters: dict[str, Value]) -> float:
        fitted.append(parameters["kind"])
        return 0.0

    assert len(search({"kind": SPACE["kind"]}, 10, count, 0).trials) == 10
    assert sorted(map(str, fitted)) == ["a", "b"]


def test_it_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    search(SPACE, 3, objective, 0)
    assert capfd.readouterr() == ("", "")


def test_steps_and_logarithms_stay_in_range() -> None:
    space: dict[str, Range | Choices] = {
        "step": Range(low=10, high=50, step=20),
        "rate": Range(low=1e-4, high=0.1, log=True),
    }
    tried = search(space, 20, lambda _: 0.0, 0).trials
    assert {trial.parameters["step"] for trial in tried} == {10, 30, 50}
    assert all(1e-4 <= float(str(trial.parameters["rate"])) <= 0.1 for trial in tried)


def test_an_objective_that_is_no_number_stops_the_search() -> None:
    with pytest.raises(TrainingError, match=r"objective is nan for \{'kind'"):
        search({"kind": SPACE["kind"]}, 1, lambda _: math.nan, 0)


def test_no_trials_are_refused() -> None:
    with pytest.raises(TrainingError, match="0 trials"):
        search(SPACE, 0, objective, 0)


def test_the_yaml_form_names_parameters_beside_trials() -> None:
    declared = SearchSpec.model_validate(
        {
            "trials": 5,
            "learning_rate": {"low": 0.01, "high": 0.3, "log": True},
            "loss": {"choices": ["a", None]},
        }
    )
    assert declared.trials == 5
    assert declared.space == {
        "learning_rate": Range(low=0.01, high=0.3, log=True),
        "loss": Choices(choices=("a", None)),
    }
    assert isinstance(SearchSpec.model_validate({"n": {"low": 7, "high": 63}}).space["n"], Range)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"low": 3, "high": 3}, "not below high"),
        ({"low": 0, "high": 3, "log": True}, "start above 0"),
        ({"low": 1, "high": 9, "log": True, "step": 2}, "exclude each other"),
        ({"low": 0, "high": 10, "step": 4}, "choose a divisor"),
        ({"low": 0, "high": 10, "step": -1}, "choose a divisor"),
        ({"low": 0, "hihg": 10}, "did you mean 'high'"),
        ({"choices": []}, "at least 1 item"),
        (0.1, r"write \{low: 1, high: 9\} or \{choices: "),
    ],
)
def test_an_entry_that_cannot_be_searched_is_refused_with_the_remedy(entry: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SearchSpec.model_validate({"learning_rate": entry})


def test_a_search_without_parameters_is_refused() -> None:
    with pytest.raises(ValidationError, match="names no parameter"):
        SearchSpec.model_validate({"trials": 3})
