"""How often an experiment decides wrongly, by a small simulation of what is measured, from its units on."""

from datetime import timedelta

import numpy as np
import pytest

from ml_assets.rollouts.experiment_measurement import make_report
from ml_assets.rollouts.outcomes import ExperimentUnits, OutcomeCounts
from ml_assets_tests.rollouts.simulated_users import START, first_step, spec

RUNS, UNITS, DAYS = 150, 6_000, 14
STEP = first_step(spec())


def _units(rng: np.random.Generator, rates: tuple[float, float]) -> ExperimentUnits:
    """Customers who come over two weeks, and buy or not."""
    minutes = np.sort(rng.uniform(0, DAYS * 1440, UNITS))
    exposed = np.datetime64(START, "us") + (minutes * 60e6).astype("timedelta64[us]")
    other = rng.uniform(size=UNITS) < 0.5
    value = (rng.uniform(size=UNITS) < np.where(other, rates[1], rates[0])).astype(float)
    none = (np.array([], "U1"), np.array([], np.int64), np.array([]))
    ones = np.ones(UNITS, np.int64)
    return ExperimentUnits(
        np.where(other, "b", "a"), exposed, ones, value, np.full(UNITS, np.nan), OutcomeCounts(), none
    )


def _look(units: ExperimentUnits, day: int) -> ExperimentUnits:
    """What is known on a day: who has come."""
    come = units.exposed_at <= np.datetime64(START + timedelta(days=day), "us")
    return ExperimentUnits(
        units.variant[come], units.exposed_at[come], units.variants[come], units.value[come], units.covariate[come],
        units.outcomes, units.by_day,
    )  # fmt: skip


@pytest.fixture(scope="module")
def outcomes() -> dict[str, tuple[float, float]]:
    """By what is true: how often b wins when it is looked at each day, and how often an interval missed the truth."""
    rng, shares = np.random.default_rng(5), {}
    for name, rates in {"same": (0.2, 0.2), "better": (0.2, 0.25)}.items():
        won = missed = 0
        for _ in range(RUNS):
            units = _units(rng, rates)
            reports = [make_report(STEP, _look(units, day), START + timedelta(days=day)) for day in range(1, DAYS + 1)]
            first = next((report for report in reports if report.action in {"winner", "none"}), reports[-1])
            won += first.action == "winner"
            intervals = [each.interval for report in reports for each in report.effects]
            missed += any(not each.low <= rates[1] - rates[0] <= each.high for each in intervals)
        shares[name] = won / RUNS, missed / RUNS
    return shares


def test_of_equal_variants_one_is_called_the_winner_at_the_declared_rate_at_most(
    outcomes: dict[str, tuple[float, float]],
) -> None:
    assert outcomes["same"][0] <= 0.05  # the worse half of the level is a loser, and names no winner


def test_a_better_variant_is_found(outcomes: dict[str, tuple[float, float]]) -> None:
    assert outcomes["better"][0] >= 0.9


def test_the_intervals_of_all_looks_hold_the_truth(outcomes: dict[str, tuple[float, float]]) -> None:
    assert max(missed for _, missed in outcomes.values()) <= 0.08  # 5 % and the error of 150 runs
