import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from ml_assets.monitoring import distances

_numbers = arrays(np.float64, st.integers(1, 60), elements=st.integers(-50, 50).map(float))
_counts = arrays(np.int64, 6, elements=st.integers(0, 500)).filter(lambda counts: bool(counts.sum()))


def _psi(reference: distances.Floats, current: distances.Floats, bins: int = 10) -> float:
    edges = distances.bin_edges(reference, bins)
    return distances.psi(distances.count_bins(reference, edges), distances.count_bins(current, edges))


@given(_numbers, st.integers(2, 20))
def test_every_row_lies_in_one_bin(values: distances.Floats, bins: int) -> None:
    edges = distances.bin_edges(values, bins)
    assert np.all(np.diff(edges) > 0)
    assert distances.count_bins(values, edges).sum() == len(values)


def test_bins_hold_equal_shares_of_a_continuous_reference() -> None:
    values = np.random.default_rng(1).normal(size=1000)
    assert distances.count_bins(values, distances.bin_edges(values, 10)).tolist() == [100] * 10


@given(_numbers)
def test_a_sample_does_not_differ_from_itself(values: distances.Floats) -> None:
    assert _psi(values, values) == 0


@given(_counts, _counts)
def test_distances_are_symmetric_and_bounded(before: distances.Counts, after: distances.Counts) -> None:
    assert distances.psi(before, after) == pytest.approx(distances.psi(after, before))
    assert distances.psi(before, after) >= 0
    apart = distances.jensen_shannon(before, after)
    assert apart == pytest.approx(distances.jensen_shannon(after, before), abs=1e-7)
    assert 0 <= apart <= np.sqrt(np.log(2)) + 1e-12


@given(_numbers, _numbers, st.sampled_from([0.25, 2.0, 1024.0]))
def test_the_unit_of_a_number_does_not_matter(
    reference: distances.Floats, current: distances.Floats, unit: float
) -> None:
    assert _psi(reference * unit, current * unit) == pytest.approx(_psi(reference, current))
    assert distances.kolmogorov_smirnov(reference * unit, current * unit) == pytest.approx(
        distances.kolmogorov_smirnov(reference, current)
    )


@given(_numbers, _numbers, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(
    reference: distances.Floats, current: distances.Floats, random: object
) -> None:
    turned = np.random.default_rng(random.getrandbits(32)).permutation(current)  # type: ignore[attr-defined]
    assert _psi(reference, turned) == _psi(reference, current)


def test_psi_is_the_sum_over_shares() -> None:
    found = distances.psi(np.array([50, 50]), np.array([20, 80]))
    assert found == pytest.approx(-0.3 * np.log(0.4) + 0.3 * np.log(1.6))


def test_an_empty_bin_gives_a_large_number_and_no_infinity() -> None:
    assert 4 < distances.psi(np.array([50, 50]), np.array([100, 0])) < 10


@pytest.mark.parametrize("moved", [-1.0, 1.0])
def test_a_constant_is_told_apart_from_what_lies_on_either_side(moved: float) -> None:
    constant = np.zeros(500)
    assert _psi(constant, constant + moved) > 1


@pytest.mark.parametrize("common", [0.0, 9.0])
def test_a_value_that_most_rows_share_does_not_hide_the_others(common: float) -> None:
    """Plain quantile edges would put zeros and all that lies above into one bin."""
    before, after = np.full(1000, common), np.full(1000, common)
    before[:50], after[:400] = 5, 5
    assert _psi(before, after) > 0.5


def test_categories_are_counted_over_both_samples() -> None:
    before, after = distances.count_categories(["b", "a", "b"], ["c", "b"])
    assert (before.tolist(), after.tolist()) == ([1, 2, 0], [0, 1, 1])


def test_jensen_shannon_of_nothing_in_common_is_the_root_of_ln_2() -> None:
    assert distances.jensen_shannon(np.array([5, 0]), np.array([0, 9])) == pytest.approx(np.sqrt(np.log(2)))


def test_chi_square_tests_two_samples() -> None:
    """Against the reference as if it were the truth, the same counts would give a smaller p-value."""
    before, after = np.array([60, 40]), np.array([48, 52])
    found = distances.chi_square_p(before, after)
    assert found is not None
    assert found == pytest.approx(stats.chi2_contingency([before, after], correction=False).pvalue)
    assert found > stats.chisquare(after, before).pvalue


def test_chi_square_of_one_category_is_no_number() -> None:
    assert distances.chi_square_p(np.array([7, 0]), np.array([9, 0])) is None


@pytest.mark.parametrize(("rows", "bins"), [(60, 10), (1000, 10), (2000, 30)])
def test_chi_square_alarms_as_often_as_promised(rows: int, bins: int) -> None:
    """Two samples of one population, 2,000 times: 1 % of the p-values are below .01."""
    pairs = np.random.default_rng(7).multinomial(rows, np.full(bins, 1 / bins), size=(2000, 2))
    found = [distances.chi_square_p(before, after) or 1 for before, after in pairs]
    assert np.mean(np.array(found) < 0.01) == pytest.approx(0.01, abs=0.008)


def test_small_distances_are_scaled_chi_squares() -> None:
    """This is why the chi-square p-value tells when PSI and Jensen–Shannon are no more than chance."""
    before, after = np.array([5000, 3000, 2000]), np.array([2450, 1550, 1000])
    statistic = stats.chi2_contingency([before, after], correction=False).statistic * (1 / 10_000 + 1 / 5000)
    assert distances.psi(before, after) == pytest.approx(statistic, rel=0.01)
    assert distances.jensen_shannon(before, after) ** 2 == pytest.approx(statistic / 8, rel=0.01)


def _steps(reference: distances.Floats, current: distances.Floats) -> distances.Floats:
    return np.array([np.mean(reference <= x) - np.mean(current <= x) for x in {*reference, *current}])


@given(_numbers, _numbers)
def test_ks_is_the_largest_step_between_the_distributions(
    reference: distances.Floats, current: distances.Floats
) -> None:
    statistic, p_value = distances.kolmogorov_smirnov(reference, current)
    assert statistic == pytest.approx(np.abs(_steps(reference, current)).max())
    assert 0 <= p_value <= 1


def test_ks_has_the_p_value_of_scipy_for_many_rows() -> None:
    rng = np.random.default_rng(3)
    before, after = rng.normal(size=3000), rng.normal(0.05, size=2000)
    expected = stats.ks_2samp(before, after, method="asymp").pvalue
    assert distances.kolmogorov_smirnov(before, after)[1] == pytest.approx(expected, rel=0.1)
