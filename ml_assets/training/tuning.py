"""Hyperparameter search: Optuna's tree-structured Parzen estimator, seeded, in memory."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ml_assets.errors import TrainingError
from ml_assets.spec.search import Choices, Range, Value


@dataclass(frozen=True)
class Trial:
    """One combination of parameters and what the objective said of it; `number` counts from 0."""

    number: int
    parameters: dict[str, Value]
    value: float


@dataclass(frozen=True)
class TuningResult:
    """The best trial (the earliest among equals), and all of them in order."""

    parameters: dict[str, Value]
    value: float
    trials: tuple[Trial, ...]


def search(
    space: Mapping[str, Range | Choices],
    trials: int,
    objective: Callable[[dict[str, Value]], float],
    seed: int,
    on_trial: Callable[[Trial], None] = lambda _: None,
) -> TuningResult:
    """The parameters of `space` with the largest `objective`, the same for the same seed.

    Bergstra et al. (2011), Algorithms for Hyper-Parameter Optimization. A combination that comes up again is
    not fitted again.

    Args:
        space: what may be tried, by parameter.
        trials: how many combinations, at least 1.
        objective: what is maximised.
        seed: of the sampler.
        on_trial: called after each trial, for progress.

    Raises:
        TrainingError: the objective gave something that is no number.
    """
    if trials < 1 or not space:
        raise TrainingError(f"a search with {trials} trials over {len(space)} parameters finds nothing: use at least 1")
    done: list[Trial] = []
    values: dict[str, float] = {}
    study = _study(seed)
    for number in range(trials):
        proposal = study.ask()
        parameters = {name: entry.suggest(proposal, name) for name, entry in space.items()}
        value = values.setdefault(repr(parameters), math.nan)
        if math.isnan(value):
            value = values[repr(parameters)] = _finite(objective(parameters), parameters)
        study.tell(proposal, value)
        done.append(Trial(number, parameters, value))
        on_trial(done[-1])
    best = max(done, key=lambda trial: trial.value)
    return TuningResult(best.parameters, best.value, tuple(done))


def _finite(value: float, parameters: Mapping[str, Value]) -> float:
    if not math.isfinite(value):
        raise TrainingError(f"the objective is {value} for {dict(parameters)}: narrow the search, or check the folds")
    return float(value)


def _study(seed: int) -> Any:  # noqa: ANN401 - optuna is imported here only
    import optuna

    with _quiet():
        return optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna announces each study on stderr."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
