"""The truth: exact probabilities, and the score that no model beats."""

from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from ml_assets.errors import DataError
from ml_assets.examples.churn import latent
from ml_assets.examples.churn.latent import ENGAGED, SLIPPING
from ml_assets.examples.churn.simulation import Drift, Simulation, _roc_auc, best_roc_auc, truth

END = date(2025, 6, 29)
LARGE = Simulation(end=END, customers=12_000, months=9)
DATES = [date(2024, 12, 29), date(2025, 2, 23), date(2025, 3, 30)]
HORIZON = timedelta(days=90)


@cache
def _known() -> pa.Table:
    return truth(LARGE, DATES, HORIZON)


@pytest.mark.parametrize("drift", ["none", "covariate", "concept"])
def test_probabilities_are_calibrated(drift: Drift) -> None:
    """Mean probability against realised rate, in each tenth of the scores, within four standard errors."""
    known = truth(replace(LARGE, drift=drift, drift_from=date(2025, 2, 2)), DATES[1:2], HORIZON)
    p, label = known["probability"].to_numpy(), known["label"].to_numpy()
    for tenth in np.array_split(np.argsort(p), 10):
        error = np.sqrt((p[tenth] * (1 - p[tenth])).sum()) / len(tenth)
        assert abs(p[tenth].mean() - label[tenth].mean()) < 4 * error


@pytest.mark.parametrize("days", [1, 3, 7, 30, 90])
def test_probabilities_are_exact_for_every_number_of_days(days: int) -> None:
    known = truth(LARGE, DATES[:1], timedelta(days=days))
    p = known["probability"].to_numpy()
    assert abs((known["label"].to_numpy() - p).sum()) < 4 * np.sqrt((p * (1 - p)).sum())


def test_probability_is_the_power_of_the_transition_matrix() -> None:
    """Against plain 3 x 3 matrices, for one customer at a time."""
    simulation = replace(LARGE, customers=5)
    week = next(latent.weeks(simulation, 1))
    for state in (ENGAGED, SLIPPING):
        states = np.full(len(week.traits), state)
        found = latent.probability(simulation, week.traits, states, 0, 21)
        for customer in range(len(week.traits)):
            chain = np.eye(3)
            for number in range(3):
                p = latent.rates(simulation, week.traits.take(np.array([customer])), number)
                slip, quits, recover, leave = p.slip[0], p.quit[0], p.recover[0], p.leave[0]
                chain = chain @ np.array(
                    [[1 - slip - quits, slip, quits], [recover, 1 - recover - leave, leave], [0, 0, 1]]
                )
            assert found[customer] == pytest.approx(chain[state, 2], rel=1e-12)


def test_a_longer_horizon_is_never_less_probable() -> None:
    week = next(latent.weeks(LARGE, 1))
    chances = [latent.probability(LARGE, week.traits, week.state, 0, days) for days in (0, 1, 6, 7, 8, 90, 365)]
    assert (chances[0] == 0).all()
    assert all((late >= early).all() for early, late in pairwise(chances))
    assert (chances[-1] <= 1).all()


def test_the_rate_and_the_best_score_are_what_the_documentation_says() -> None:
    known = _known()
    assert 0.12 < known["label"].to_numpy().mean() < 0.20
    assert 0.85 < best_roc_auc(LARGE, DATES, HORIZON) < 0.90


def test_the_best_score_beats_what_knows_less() -> None:
    known = _known()
    label, noise = known["label"].to_numpy(), np.random.default_rng(0).normal(0, 0.1, len(known))
    best = _roc_auc(label, known["probability"].to_numpy())
    assert best > _roc_auc(label, known["slipping"].to_numpy().astype(np.float64)) + 0.05
    assert best > _roc_auc(label, known["probability"].to_numpy() + noise)


def test_the_population_holds_customers_once_a_date_and_nobody_who_left() -> None:
    known = _known().to_pandas()
    assert not known.duplicated(["as_of", "customer_id"]).any()
    first, last = (known[known.as_of == str(day)] for day in (DATES[0], DATES[2]))
    left = set(first.customer_id[first.label == 1])  # all of DATES[0] + 90 days is before DATES[2] + 1 day
    assert DATES[2] - DATES[0] >= HORIZON
    assert left.isdisjoint(last.customer_id)


def test_labels_beyond_the_end_are_those_of_a_longer_simulation() -> None:
    near = [END - timedelta(weeks=1)]
    small = replace(LARGE, customers=200)
    assert truth(small, near, HORIZON) == truth(small.until(END + timedelta(weeks=20)), near, HORIZON)


def test_a_concept_drift_makes_the_dear_plan_the_risky_one() -> None:
    week = next(latent.weeks(LARGE, 1))
    usual = latent.rates(LARGE, week.traits, 0).slip
    moved = latent.rates(replace(LARGE, drift="concept", drift_from=LARGE.start), week.traits, 0).slip
    basic, pro = week.traits.plan == 0, week.traits.plan == 2
    assert usual[basic].mean() > usual[pro].mean()
    assert moved[basic].mean() < moved[pro].mean()


def test_a_covariate_drift_keeps_the_churn_law() -> None:
    week = next(latent.weeks(LARGE, 1))
    moved = replace(LARGE, drift="covariate", drift_from=LARGE.start)
    usual_law = latent.probability(LARGE, week.traits, week.state, 0, 90)
    assert (latent.probability(moved, week.traits, week.state, 0, 90) == usual_law).all()


def test_roc_auc_counts_ties_half() -> None:
    assert _roc_auc(np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4])) == pytest.approx(0.75)
    assert _roc_auc(np.array([0, 1, 1, 0]), np.zeros(4)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("dates", "says"),
    [
        ([], "no as-of dates"),
        ([date(2025, 1, 1)], "as-of date 2025-01-01 is no Sunday"),
        ([date(2020, 1, 5)], "is before the history"),
    ],
)
def test_dates_off_the_grid_are_refused(dates: list[date], says: str) -> None:
    with pytest.raises(DataError, match=says):
        truth(LARGE, dates, HORIZON)


def test_no_score_without_both_labels() -> None:
    with pytest.raises(DataError, match="ROC AUC needs both"):
        best_roc_auc(Simulation(end=END, customers=1, months=1), [END], timedelta(days=1))
