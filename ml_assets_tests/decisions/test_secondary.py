"""Secondary metrics: which differences stand among all of them, and how often one that stands is none."""

import math

import numpy as np
import pytest

from ml_assets.decisions.means import Batch, Difference, Moments, sequence_interval, sequence_log_e, sequence_p_value
from ml_assets.decisions.means import stratified_difference as difference_of
from ml_assets.decisions.secondary import SecondaryEffect, SecondaryEvidence, judge_secondary

LEVEL = 0.05
RUNS, LOOKS, UNITS, METRICS, REAL = 200, 14, 500, 10, 4


def evidence(*estimates: float, direction: int = 1) -> list[SecondaryEvidence]:
    differences = [Difference(estimate, 0.05, 10_000) for estimate in estimates]
    return [SecondaryEvidence(f"m{at}", "b", each, direction) for at, each in enumerate(differences)]


def test_the_e_value_is_that_of_the_sequence() -> None:
    difference = Difference(0.04, 0.009336904078857, 10_000)
    assert math.exp(-sequence_log_e(difference, 0.05)) == pytest.approx(sequence_p_value(difference, 0.05), rel=1e-12)
    assert math.exp(-sequence_log_e(difference, 0.05)) == pytest.approx(0.000731857013445, rel=1e-9)  # gbstats
    at_the_edge = sequence_interval(Difference(0.0, 0.01, 5_000), 0.01, tuning=0.05).high
    assert sequence_log_e(Difference(at_the_edge, 0.01, 5_000), 0.05) == pytest.approx(math.log(100), rel=1e-12)


def test_a_difference_that_stands_alone_may_not_stand_among_many() -> None:
    alone, among = judge_secondary(evidence(0.17), LEVEL), judge_secondary(evidence(0.17, *[0.0] * 9), LEVEL)
    assert (alone[0].stands, among[0].stands) == (True, False)
    assert alone[0].e_value == among[0].e_value > 1 / LEVEL
    assert (alone[0].reason[:17], among[0].reason[:24]) == ("b is better: +0.1", "b may differ either way:")


def test_those_that_stand_are_those_whose_interval_leaves_out_0() -> None:
    for count in range(1, 30):
        found = judge_secondary(evidence(*np.linspace(-0.3, 0.3, count).tolist()), LEVEL)
        assert [each.stands for each in found] == [
            each.interval is not None and not each.interval.low <= 0 <= each.interval.high for each in found
        ]


def test_the_direction_says_what_is_better() -> None:
    (less,) = judge_secondary(evidence(-0.4, direction=-1), LEVEL)
    (more,) = judge_secondary(evidence(0.4, direction=-1), LEVEL)
    assert (less.reason[:11], more.reason[:10]) == ("b is better", "b is worse")


def test_what_is_not_known_counts_among_them_and_says_why() -> None:
    unknown = [SecondaryEvidence(f"u{at}", "b", None, lacking="3 of 1,000 units") for at in range(9)]
    found = judge_secondary([*evidence(0.17), *unknown], LEVEL)
    assert not any(each.stands for each in found)
    assert [(each.interval, each.e_value, each.reason) for each in found[1:]] == [(None, 0, "3 of 1,000 units")] * 9
    assert judge_secondary([], LEVEL) == ()
    (constant,) = judge_secondary([SecondaryEvidence("same", "b", Difference(0.0, 0.0, 10_000))], LEVEL)
    assert (constant.stands, constant.e_value) == (False, 0)


def _looks(rng: np.random.Generator) -> list[list[SecondaryEvidence]]:
    """What is known of metrics that hang together, day by day; the first few differ."""
    size = (2, LOOKS * UNITS, METRICS)
    values = (rng.normal(size=size) + rng.normal(size=(*size[:2], 1))) / math.sqrt(2)
    values[1, :, :REAL] += np.linspace(0.05, 0.2, REAL)
    ends = np.arange(1, LOOKS + 1) * UNITS - 1
    sums, squares = values.cumsum(axis=1)[:, ends], (values**2).cumsum(axis=1)[:, ends]

    def known(look: int, metric: int) -> SecondaryEvidence:
        old, new = (
            Moments(int(ends[look]) + 1, float(sums[arm, look, metric]), float(squares[arm, look, metric]))
            for arm in (0, 1)
        )
        return SecondaryEvidence(str(metric), "b", difference_of([Batch(old, new)]))

    return [[known(look, metric) for metric in range(METRICS)] for look in range(1, LOOKS)]  # from 1,000 units on


@pytest.fixture(scope="module")
def simulated() -> list[tuple[float, int, bool]]:
    """Of each run: the worst share of false discoveries at any look, true ones at the last, whether all hold."""
    rng, found = np.random.default_rng(11), list[tuple[float, int, bool]]()
    truth = np.concatenate([np.linspace(0.05, 0.2, REAL), np.zeros(METRICS - REAL)])
    for _ in range(RUNS):
        worst, covered, effects = 0.0, True, tuple[SecondaryEffect, ...]()
        for look in _looks(rng):
            effects = judge_secondary(look, LEVEL)
            named = [at for at, each in enumerate(effects) if each.stands]
            worst = max(worst, sum(at >= REAL for at in named) / max(1, len(named)))
            intervals = [(effects[at].interval, truth[at]) for at in named]
            covered &= all(each is not None and each.low <= true <= each.high for each, true in intervals)
        found.append((worst, sum(each.stands for each in effects[:REAL]), covered))
    return found


def test_of_what_stands_a_twentieth_at_most_is_no_difference_even_at_the_worst_of_all_looks(
    simulated: list[tuple[float, int, bool]],
) -> None:
    assert np.mean([worst for worst, _, _ in simulated]) <= LEVEL


def test_real_differences_are_found_and_their_intervals_hold_them(simulated: list[tuple[float, int, bool]]) -> None:
    assert np.mean([true for _, true, _ in simulated]) >= 0.7 * REAL
    assert np.mean([covered for _, _, covered in simulated]) >= 1 - LEVEL
