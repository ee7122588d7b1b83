import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ml_assets.errors import DataError, DeclarationError
from ml_assets.monitoring.drift.compare import SampleComparison, drift
from ml_assets.monitoring.drift.samples import InMemory, align, draw, open_stored, words
from ml_assets.spec.drift import DriftLimits, DriftSpec
from ml_assets.storage.lake import Lake


def _table(rows: int = 2000, *, shift: float = 0, seed: int = 1, uk: float = 0.8) -> pa.Table:
    rng = np.random.default_rng(seed)
    countries = np.where(rng.random(rows) < uk, "UK", "Europe")
    return pa.table({"recency": rng.exponential(40, rows) + shift, "country": countries})


def _drift(reference: pa.Table, current: pa.Table, **options: object) -> SampleComparison:
    numeric = [name for name in ("recency",) if name in reference.column_names]
    categorical = [name for name in ("country",) if name in reference.column_names]
    return drift(reference, current, numeric, categorical, DriftSpec.model_validate(options), None)


def test_two_samples_of_one_population_do_not_drift() -> None:
    found = _drift(_table(seed=1), _table(seed=2))
    assert found.drifted == []
    assert found.share_drifted == 0


def test_a_shift_drifts_and_the_reason_holds_number_and_limit() -> None:
    found = _drift(_table(seed=1), _table(seed=2, shift=30, uk=0.5))
    recency, country = found.features["recency"], found.features["country"]
    assert found.drifted == ["recency", "country"]
    assert found.share_drifted == 1
    assert recency.psi is not None
    assert recency.psi > 0.2
    assert recency.reason == f"psi {recency.psi:.3g} ≥ 0.2"
    assert country.jensen_shannon is not None
    assert country.reason == f"jensen_shannon {country.jensen_shannon:.3g} ≥ 0.1"


def test_each_kind_has_its_own_numbers() -> None:
    found = _drift(_table(seed=1), _table(seed=2)).features
    assert found["recency"].ks_p_value is not None
    assert found["recency"].jensen_shannon is None
    assert found["country"].chi_square_p is not None
    assert found["country"].psi is None


def test_the_result_is_json() -> None:
    found = _drift(_table(seed=1), _table(seed=2)).to_json()
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_table_and_a_frame_give_the_same() -> None:
    before, after = _table(seed=1), _table(seed=2, shift=3)
    frames = drift(before.to_pandas(), after.to_pandas(), ["recency"], ["country"], DriftSpec(), None)
    assert frames == _drift(before, after)


def test_every_row_counts() -> None:
    """Nothing is drawn: `sample` bounds what is scored and shown, not what is compared."""
    before, after = _table(5000, seed=1), _table(700, seed=2)
    found = _drift(before, after, sample=100)
    assert (found.rows_reference, found.rows_current) == (5000, 700)
    assert found.features == _drift(before, after, sample=1000, seed=1).features


@pytest.mark.parametrize("options", [{}, {"psi": 1e-9, "ks_statistic": 1e-9, "jensen_shannon": 1e-9}])
def test_small_samples_of_one_population_do_not_alarm(options: dict[str, float]) -> None:
    """With 40 rows the PSI of nothing at all is often above .2; the tests alone keep their level too."""
    spec = {"min_rows": 40, "false_alarms": 0.05} | options
    pairs = [_drift(_table(40, seed=2 * i), _table(40, seed=2 * i + 1), **spec) for i in range(200)]
    assert sum((found.features["recency"].psi or 0) >= 0.2 for found in pairs) > 50
    assert sum(bool(found.drifted) for found in pairs) <= stats.binom(200, 0.05).ppf(0.99)


def test_more_features_need_smaller_p_values() -> None:
    names = [f"f{number}" for number in range(20)]
    rng = np.random.default_rng(6)
    before, after = (pa.table({name: rng.normal(size=500).tolist() for name in names}) for _ in range(2))
    one, many = (drift(before, after, names[:n], [], DriftSpec(false_alarms=0.02)) for n in (1, 20))
    # Two tests of the values; there is none of missing ones where every row has a value.
    assert one.chance == pytest.approx(0.02 / 2)
    assert many.chance == pytest.approx(0.02 / 40)


def test_too_few_rows_have_numbers_and_no_verdict() -> None:
    found = _drift(_table(1000, seed=1), _table(199, seed=2, shift=500)).features["recency"]
    assert found.drifted is None
    assert found.reason == "too few values to tell: 199 in the current sample, min_rows is 200"
    assert found.psi is not None
    assert found.psi > 1


def test_too_few_values_leave_the_verdict_to_what_is_missing() -> None:
    found = _drift(_gaps(0), _gaps(0.95)).features["recency"]
    assert found.drifted is True
    assert found.reason.startswith("too few values to tell: 50 in the current sample")
    assert found.reason.endswith("missing share changed by 0.95 ≥ 0.1")
    assert _drift(_gaps(0.95), _gaps(0.95)).features["recency"].drifted is None


def test_severity_is_the_largest_multiple_of_a_limit() -> None:
    found = _drift(_table(seed=1), _table(seed=2, shift=30), psi=0.5, ks_statistic=0.1).features["recency"]
    assert found.severity == pytest.approx(max((found.psi or 0) / 0.5, (found.ks_statistic or 0) / 0.1))


def test_a_limit_of_one_feature_replaces_that_of_the_report() -> None:
    before, after = _table(seed=1), _table(seed=2, shift=30)
    assert _drift(before, after, features={"recency": {"psi": None}}).features["recency"].drifted is False
    assert _drift(before, after, psi=None, features={"recency": {"psi": 0.2}}).drifted == ["recency"]


def test_an_own_limit_leaves_the_others_of_the_report() -> None:
    spec = DriftSpec(missing=0.3, features={"recency": DriftLimits(psi=0.5)})
    assert (spec.limits("recency").psi, spec.limits("recency").missing) == (0.5, 0.3)
    assert spec.limits("country").psi == 0.2


@pytest.mark.parametrize(
    ("limit", "value", "features"),
    [
        ("psi", 0.25, ["recency"]),
        ("ks_statistic", 0.1, ["recency"]),
        ("ks_p_value", 0.001, ["recency"]),
        ("jensen_shannon", 0.1, ["country"]),
        ("chi_square_p", 0.001, ["recency", "country"]),
    ],
)
def test_each_limit_decides_alone(limit: str, value: float, features: list[str]) -> None:
    limits = dict.fromkeys(["psi", "jensen_shannon", "missing"]) | {limit: value}
    found = _drift(_table(seed=1), _table(seed=2, shift=30, uk=0.5), **limits)
    assert found.drifted == features
    assert all(found.features[name].reason.startswith(limit) for name in features)
    assert not _drift(_table(seed=1), _table(seed=2), **limits).drifted


def test_without_any_limit_there_is_no_verdict() -> None:
    off = dict.fromkeys(["psi", "jensen_shannon", "missing"])
    found = _drift(_table(seed=1), _table(seed=2, shift=30), **off)
    assert found.share_drifted is None
    assert found.features["recency"].drifted is None
    assert "no limit is set" in found.features["recency"].reason
    assert found.features["recency"].psi is not None


def _gaps(share: float, rows: int = 1000) -> pa.Table:
    values = np.random.default_rng(3).normal(size=rows)
    return pa.table({"recency": pa.array(values, mask=np.arange(rows) < share * rows)})


def test_values_that_go_missing_are_drift() -> None:
    found = _drift(_gaps(0), _gaps(0.2)).features["recency"]
    assert found.drifted
    assert found.reason == "missing share changed by 0.2 ≥ 0.1"
    assert found.missing_reference == 0
    assert found.missing_current == pytest.approx(0.2)


def test_a_column_that_went_empty_has_no_distance_and_says_so() -> None:
    found = _drift(_gaps(0), _gaps(1)).features["recency"]
    assert (found.psi, found.ks_p_value, found.drifted) == (None, None, True)
    assert "no values in the current sample" in found.reason


def test_a_column_that_is_empty_in_both_samples_has_no_verdict() -> None:
    found = _drift(_gaps(1), _gaps(1))
    assert found.features["recency"].drifted is None
    assert "no values in the reference and current sample" in found.features["recency"].reason
    assert found.share_drifted is None


def test_a_column_of_type_null_is_an_empty_one() -> None:
    empty = pa.table({"recency": pa.nulls(50), "country": pa.nulls(50)})
    assert [feature.psi for feature in _drift(empty, _table()).features.values()] == [None, None]


def test_infinite_numbers_count_as_missing() -> None:
    found = _drift(_gaps(0), pa.table({"recency": [np.inf] * 500 + [0.0] * 500})).features["recency"]
    assert found.missing_current == 0.5


def test_a_constant_does_not_drift_from_itself_and_drifts_from_another() -> None:
    one, two = (pa.table({"recency": [value] * 300, "country": [str(value)] * 300}) for value in (1, 2))
    same, other = _drift(one, one), _drift(one, two)
    assert (same.features["recency"].psi, same.features["country"].jensen_shannon) == (0, 0)
    assert same.features["country"].chi_square_p is None
    assert other.drifted == ["recency", "country"]


@pytest.mark.parametrize(
    "column",
    [pa.array([1, 2, None]), pa.array([True, False, None]), pa.array([1, 2, 3], pa.decimal128(5, 2))],
)
def test_every_kind_of_number_is_a_number(column: pa.Array) -> None:
    table = pa.table({"recency": column})
    assert _drift(table, table).features["recency"].psi == 0


def test_numbers_may_be_categories() -> None:
    found = _drift(pa.table({"country": [1.0, 2.0, np.nan] * 9}), pa.table({"country": [1.0, 2.0, None] * 9}))
    assert found.features["country"].jensen_shannon == 0
    assert found.features["country"].missing_reference == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", "b", None] * 100).dictionary_encode(),
        pa.array(["a", "b", None] * 100, pa.large_string()),
        pa.array([True, False, None] * 100),
        pa.array([7, 8, None] * 100),
    ],
)
def test_every_kind_of_category_is_counted(column: pa.Array) -> None:
    found = _drift(pa.table({"country": column}), pa.table({"country": column[:250]})).features["country"]
    assert found.jensen_shannon == pytest.approx(0, abs=0.01)
    assert found.missing_reference == pytest.approx(1 / 3)


def test_categories_are_counted_over_both_samples() -> None:
    before, after = (
        words("any", "country", pa.chunked_array([part])) for part in (pa.array(["b", "a", "b"]), pa.array(["c", "b"]))
    )
    names, *counts = align(before, after)
    assert names.to_pylist() == ["a", "b", "c"]
    assert [each.tolist() for each in counts] == [[1, 2, 0], [0, 1, 1]]


def test_words_are_no_numbers() -> None:
    words = pa.table({"recency": ["long", "short"]})
    with pytest.raises(DataError, match="recency of the reference sample is string, no number: list it as"):
        _drift(words, words)


def test_a_list_is_no_category() -> None:
    lists = pa.table({"country": [["UK"], ["UK", "US"]]})
    with pytest.raises(DataError, match="country of the reference sample is list"):
        _drift(lists, lists)


def test_a_frame_that_mixes_types_is_refused_by_name() -> None:
    frame = pd.DataFrame({"country": ["UK", 7, b"x"]}, dtype=object)
    with pytest.raises(DataError, match="the reference sample mixes types"):
        drift(frame, frame, [], ["country"], DriftSpec(), None)


def test_an_empty_sample_is_refused() -> None:
    with pytest.raises(DataError, match="the current sample has no rows"):
        _drift(_table(), _table(0))


def test_a_missing_column_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(DataError, match="the current sample has no column country: it has recency"):
        _drift(_table(), _table().select(["recency"]))


@pytest.mark.parametrize("names", [[], ["recency", "recency"]])
def test_features_are_listed_once(names: list[str]) -> None:
    with pytest.raises(DeclarationError, match="each listed once"):
        drift(_table(), _table(), names, [], DriftSpec(), None)


def test_a_limit_for_an_unknown_feature_is_refused() -> None:
    with pytest.raises(DeclarationError, match="drift limits for recencyy: the features are recency, country"):
        _drift(_table(), _table(), features={"recencyy": {"psi": 0.5}})


@pytest.mark.parametrize("field", ["psi_limit", "ks"])
def test_an_unknown_option_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match="unknown field"):
        DriftSpec.model_validate({field: 0.1})


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(width=32)), min_size=1, max_size=50), st.integers(0, 5))
def test_whatever_the_numbers_the_result_is_honest_json(values: list[float | None], shift: int) -> None:
    before = pa.table({"recency": pa.array(values, pa.float64())})
    after = pa.table({"recency": pa.array([None if v is None else v + shift for v in values], pa.float64())})
    found = _drift(before, after, min_rows=1)
    json.dumps(found.to_json(), allow_nan=False)
    assert (found.features["recency"].psi is None) == found.features["recency"].reason.startswith("no values")


def test_a_page_is_written_where_one_is_asked_for(tmp_path: Path) -> None:
    found = drift(_table(seed=1), _gaps(1), ["recency"], [], DriftSpec(), tmp_path / "report.html")
    assert found.html == str(tmp_path / "report.html")
    assert "no values in the current sample" in (tmp_path / "report.html").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(200, 400))
def test_a_column_at_a_time_gives_the_same_as_a_table(seed: int, rows: int) -> None:
    whole, columns = _table(1000, seed=seed), _table(rows, seed=seed + 1, shift=5)
    expected = _drift(whole, columns)
    # Tables in chunks of another size.
    parts = pa.concat_tables([whole.slice(0, 7), whole.slice(7, 500), whole.slice(507)])
    assert _drift(parts, columns) == expected
    turned = whole.take(pa.array(np.random.default_rng(seed).permutation(1000)))
    assert _numbers(_drift(turned, columns)) == pytest.approx(_numbers(expected), rel=1e-9)


def _numbers(found: SampleComparison) -> dict[str, float]:
    plain = {name: asdict(feature) for name, feature in found.features.items()}
    return {
        f"{name}.{key}": value
        for name, values in plain.items()
        for key, value in values.items()
        if isinstance(value, float)
    }


def test_rows_of_the_lake_give_the_same_as_a_table(tmp_path: Path) -> None:
    """Read column by column from Parquet, with nulls, in several files, and one partition of two."""
    lake = Lake(str(tmp_path / "lake"))
    countries = pa.array(["UK", None] * 250)
    before, after = (_gaps(share, 500).append_column("country", countries) for share in (0.1, 0.3))
    for part, rows in enumerate((before, after)):
        lake.append("shop/rows", rows.append_column("part", pa.array([part] * len(rows))))
    with (
        open_stored(lake, "shop/rows", where="part = 0") as first,
        open_stored(lake, "shop/rows", where="part = 1") as second,
    ):
        assert (first.rows, second.rows) == (500, 500)
        found = drift(first, second, ["recency"], ["country"], DriftSpec())
        assert draw(first, ["recency", "country"], 100, 1) == draw(InMemory(before), ["recency", "country"], 100, 1)
    assert found == drift(before, after, ["recency"], ["country"], DriftSpec())
