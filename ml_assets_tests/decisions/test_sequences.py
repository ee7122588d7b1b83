"""The statistics of traffic against numbers from elsewhere: gbstats, confseq, savvi, scipy, and forty digits."""

import math

import pytest

from ml_assets.decisions.assignment import assign_variant, unit_point
from ml_assets.decisions.means import (
    Batch,
    Difference,
    Moments,
    fixed_interval,
    rate_difference,
    sequence_bounds,
    sequence_interval,
    sequence_p_value,
    stratified_difference,
)
from ml_assets.decisions.multiplicity import reject_by_e_values
from ml_assets.decisions.paired_moments import PairedMoments, adjusted_difference, ratio_difference, ratio_variance
from ml_assets.decisions.power import units_for_rates
from ml_assets.decisions.quantile_bounds import rank_error
from ml_assets.decisions.rates import (
    RateStage,
    bound_ratio,
    log_e_better,
    log_e_disagreeing,
    log_e_slower,
    log_e_worse,
)
from ml_assets.decisions.sample_ratio import SampleCounts, log_e_mismatch


def near(value: float) -> object:
    return pytest.approx(value, rel=1e-9, abs=1e-12)


def test_two_sided_sequence_of_two_rates() -> None:
    difference = rate_difference(450, 9000, 90, 1000)
    interval = sequence_interval(difference, 0.05)
    assert difference.error == near(0.009336904078857)
    assert (interval.low, interval.high) == (near(0.011415280867829), near(0.068584719132171))
    assert sequence_p_value(difference, 0.05) == near(0.000731857013445)


def test_one_sided_sequence_of_two_rates() -> None:
    bounds = sequence_bounds(rate_difference(450, 9000, 90, 1000), 0.05)
    assert (bounds.low, bounds.high) == (near(0.013844243738282), near(0.066155756261718))


def test_sequence_of_two_means() -> None:
    difference = stratified_difference([Batch(Moments(9000, 90000, 1125000), Moments(1000, 9700, 120000))])
    interval = sequence_interval(difference, 0.05, tuned_for=10_000)
    assert (difference.estimate, difference.error) == (near(-0.3), near(0.169452124182574))
    assert (interval.low, interval.high) == (near(-0.814322610757302), near(0.214322610757300))
    assert sequence_p_value(difference, 0.05, tuned_for=10_000) == near(0.743229186670467)


def test_sequence_over_batches_with_other_shares() -> None:
    counts = [
        ((900, 1800, 4500), (100, 190, 460)),
        ((450, 990, 2700), (50, 100, 270)),
        ((500, 1250, 3900), (500, 1200, 3700)),
    ]
    difference = stratified_difference([Batch(Moments(*old), Moments(*new)) for old, new in counts])
    bounds, interval = sequence_bounds(difference, 0.05), sequence_interval(difference, 0.05)
    assert (difference.estimate, difference.error) == (near(-0.111688311688312), near(0.060444385851493))
    assert (bounds.low, bounds.high) == (near(-0.283330950437743), near(0.059954327061119))
    assert (interval.low, interval.high) == (near(-0.298072728859186), near(0.074696105482562))


@pytest.mark.parametrize(
    ("stages", "ratio", "worse", "better"),
    [
        ([(100, 18, 0.1)], 1, 2.164201300364685, -1.760083825800997),
        ([(100, 18, 0.1), (120, 70, 0.5)], 1, 3.175750699421858, None),
        ([(200, 20, 0.1)], 2, None, 4.210255680883667),
        ([(60, 0, 0.1)], 1, None, 2.533365402190043),
        ([(0, 0, 0.1)], 1, 0.0, 0.0),
    ],
)
def test_exact_test_of_two_rates(
    stages: list[tuple[int, int, float]], ratio: float, worse: float | None, better: float | None
) -> None:
    counted = [RateStage(*each) for each in stages]
    assert worse is None or log_e_worse(counted, ratio) == near(worse)
    assert better is None or log_e_better(counted, ratio) == near(better)


def test_bounds_of_the_ratio_of_two_rates() -> None:
    bounds = bound_ratio([RateStage(100, 18, 0.1)], 0.05)
    assert bounds.estimate == near(1.975609756097561)
    assert (bounds.low, bounds.high) == (near(0.878108824564753), near(3.873560473874484))


def test_ratio_of_rates_without_events_is_unknown() -> None:
    assert bound_ratio([], 0.05) == bound_ratio([RateStage(0, 0, 0.1)], 0.05)
    bounds = bound_ratio([RateStage(30, 0, 0.5)], 0.05)
    assert (bounds.estimate, bounds.low) == (0.0, 0.0)
    assert bounds.high < 1
    bounds = bound_ratio([RateStage(30, 30, 0.5)], 0.05)
    assert (bounds.estimate, bounds.high) == (math.inf, math.inf)


def test_counts_that_do_not_fit_the_shares() -> None:
    assert log_e_mismatch([SampleCounts((9100, 900), (0.9, 0.1))]) == near(4.036102517358)
    thirds = SampleCounts((3400, 3300, 3300), (1 / 3, 1 / 3, 1 / 3))
    assert log_e_mismatch([thirds]) == pytest.approx(-1.492004774315, abs=1e-9)


def test_slower_answers_at_three_quantiles() -> None:
    counts = [(1200, 130), (130, 22), (25, 6)]
    expected = [-0.765495136679882, 2.179589828991411, 1.225673218620430]
    for (events, of_challenger), log_e in zip(counts, expected, strict=True):
        assert log_e_worse([RateStage(events, of_challenger, 0.1)]) == near(log_e)
    assert log_e_slower([[RateStage(m, k, 0.1)] for m, k in counts]) == near(1.444110390837339)


def test_disagreement_of_two_versions() -> None:
    assert log_e_disagreeing(12, 200, 0.034) == near(1.174497111832546)


def test_covariate_makes_a_difference_sharper() -> None:
    difference = adjusted_difference(
        PairedMoments(5000, 50000, 625000, 20000, 100000, 215000),
        PairedMoments(5000, 51000, 647500, 20100, 101000, 220500),
    )
    assert (difference.estimate, difference.error) == (near(0.184830468419612), near(0.095756877611712))


def test_ratio_of_sums() -> None:
    champion = PairedMoments(9000, 1800, 2200, 27000, 120000, 6500)
    difference = ratio_difference(champion, PairedMoments(1000, 230, 300, 3000, 13500, 830))
    assert (difference.estimate, difference.error) == (near(0.01), near(0.005531560934631))
    assert ratio_variance(champion) == near(0.023047828359530)


def test_many_metrics() -> None:
    assert reject_by_e_values([120, 45, 8, 31, 2], 0.05) == [True, False, False, False, False]
    assert reject_by_e_values([120, 60, 40, 8, 2], 0.05) == [True, True, True, False, False]
    assert reject_by_e_values([], 0.05) == []


def test_units_that_an_effect_takes() -> None:
    assert units_for_rates(0.10, 0.11, alpha=0.04, power=0.8) == 15_752


def test_hybrid_of_a_sequence_and_a_last_day() -> None:
    difference = Difference(0.0, 1.0, 5_000)
    assert fixed_interval(difference, 0.04).high == near(2.053748910631823)
    assert sequence_interval(difference, 0.01).high == near(3.571629970870450)


@pytest.mark.parametrize(
    ("salt", "unit", "point"),
    [
        ("churn/rollout/7", "customer-000123", 0.367331428987438),
        ("churn/rollout/7", "1", 0.018643772304013),
        ("churn/exp/price", "customer-000123", 0.179135164118568),
        ("churn/exp/price", "é", 0.417039236737279),
    ],
)
def test_points_of_units(salt: str, unit: str, point: float) -> None:
    assert unit_point(salt, unit) == pytest.approx(point, abs=1e-14)


def test_a_growing_share_moves_units_one_way_only() -> None:
    points = [unit_point("churn/rollout/7", str(unit)) for unit in range(2_000)]
    before = [assign_variant(point, {"challenger": 0.1}, "champion") for point in points]
    after = [assign_variant(point, {"challenger": 0.5}, "champion") for point in points]
    assert before != after
    assert all(new == "challenger" for old, new in zip(before, after, strict=True) if old == "challenger")


@pytest.mark.parametrize(
    ("quantile", "count", "tuned_for", "ranks", "tolerance"),
    [
        (0.99, 10_000, 1_000, 46.339375894748, 1e-9),
        (0.5, 1_000, 100, 68.62803, 1e-5),
        (0.9, 1_000, 100, 43.72119, 1e-5),
        (0.1, 1_000, 100, 59.96521, 1e-5),
    ],
)
def test_bounds_of_a_quantile(quantile: float, count: int, tuned_for: int, ranks: float, tolerance: float) -> None:
    assert rank_error(quantile, count, 0.05, tuned_for) == pytest.approx(ranks, abs=tolerance)
