import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from ml_assets.monitoring.drift import distances

_numbers = arrays(np.float64, st.integers(1, 60), elements=st.integers(-50, 50).map(float)).map(np.sort)
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
    values = np.sort(np.random.default_rng(1).normal(size=1000))
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


@given(_numbers, _numbers)
def test_ks_sees_order_only_and_both_samples_alike(reference: distances.Floats, current: distances.Floats) -> None:
    statistic, p_value = distances.kolmogorov_smirnov(reference, current)
    assert distances.kolmogorov_smirnov(np.exp(reference / 10), np.exp(current / 10))[0] == pytest.approx(statistic)
    assert distances.kolmogorov_smirnov(current, reference) == pytest.approx((statistic, p_value))


@given(_numbers, st.integers(2, 20))
def test_quantiles_are_those_of_numpy(values: distances.Floats, parts: int) -> None:
    expected = np.quantile(values, np.linspace(0, 1, parts + 1)[1:-1])
    assert distances.quantiles(values, parts) == pytest.approx(expected, abs=1e-12)


@given(_numbers, st.integers(2, 20))
def test_a_value_with_more_rows_than_a_bin_has_one_of_its_own(values: distances.Floats, bins: int) -> None:
    edges = distances.bin_edges(values, bins)
    for value in np.unique(values):
        if (values == value).sum() * bins > len(values):
            assert {value, np.nextafter(value, np.inf)} <= {*edges}


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
    assert _psi(np.sort(before), np.sort(after)) > 0.5


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


@pytest.mark.parametrize("block", [1, 3, 10_000])
def test_ks_is_exact_however_it_is_cut_into_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "_BLOCK", block)
    rng = np.random.default_rng(block)
    for _ in range(50):
        before, after = (np.sort(rng.integers(0, rng.integers(2, 30), rng.integers(20, 60))) / 4 for _ in range(2))
        expected = stats.ks_2samp(before, after, method="exact").statistic
        assert distances.kolmogorov_smirnov(before, after)[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.01, 0.02, 0.05])
def test_ks_has_the_p_value_of_scipy_for_many_rows(shift: float) -> None:
    """Of more than 10,000 rows: scipy enumerates all paths below that."""
    rng = np.random.default_rng(3)
    before, after = np.sort(rng.normal(size=30_000)), np.sort(rng.normal(shift, size=12_000))
    expected = stats.ks_2samp(before, after)
    assert distances.kolmogorov_smirnov(before, after) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9)


@pytest.mark.parametrize("rows", [12_000, 20_000, 500_000])
@pytest.mark.parametrize("root", [0.4, 0.8, 1.2, 1.6, 2.5])
def test_of_very_many_rows_the_p_value_is_that_of_scipy_too(rows: int, root: float) -> None:
    """Where scipy sums as many terms as there are rows."""
    statistic = root / np.sqrt(rows)
    expected = stats.kstwo.sf(statistic, rows)
    assert distances._ks_p_value(statistic, 2 * rows, 2 * rows) == pytest.approx(expected, rel=1e-4, abs=1e-8)


def test_chi_square_tests_rare_categories_as_one() -> None:
    """A hundred names with a row each are no hundred surprises; a hundred new names together are one."""
    before, after = np.array([900, *[1] * 100, *[0] * 100]), np.array([900, *[0] * 100, *[1] * 100])
    assert distances.chi_square_p(*distances.pool_rare(before, after)) == pytest.approx(1)
    new = distances.chi_square_p(*distances.pool_rare(np.array([1000, *[0] * 100]), np.array([900, *[1] * 100])))
    assert new is not None
    assert new < 1e-20


@given(_numbers, _numbers)
def test_the_mean_shift_has_a_sign_and_no_unit(reference: distances.Floats, current: distances.Floats) -> None:
    found = distances.mean_shift(reference, current)
    if found is None:
        assert np.ptp(reference) == 0
    else:
        assert found == pytest.approx((current.mean() - reference.mean()) / reference.std(), abs=1e-9)
        assert distances.mean_shift(reference * 1e200, current * 1e200) == pytest.approx(found)


@given(st.lists(st.floats(0, 1), max_size=20), st.floats(0.001, 0.2))
def test_holm_rejects_between_bonferroni_and_each_test_alone(p_values: list[float], level: float) -> None:
    cut = distances.holm(p_values, level)
    assert level / max(len(p_values), 1) <= cut <= level
    # The procedure as Holm tells it, step by step.
    left, rejected = sorted(p_values), 0
    while left and left[0] <= level / len(left):
        left, rejected = left[1:], rejected + 1
    assert sum(p_value <= cut for p_value in p_values) == rejected


def test_holm_keeps_its_level_however_the_tests_depend() -> None:
    """2,000 families of 20 true hypotheses that share half of their luck: at most 5 % see anything."""
    rng = np.random.default_rng(11)
    luck = rng.normal(size=(2000, 1)) + rng.normal(size=(2000, 20))
    families = stats.norm.sf(luck / np.sqrt(2))
    wrong = sum(bool((family <= distances.holm(family.tolist(), 0.05)).any()) for family in families)
    assert wrong / 2000 < 0.05 + 0.01
