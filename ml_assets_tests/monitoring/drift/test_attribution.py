import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from ml_assets.monitoring.drift.attribution import attributions, compare, ndcg
from ml_assets.training.export import session, to_onnx
from ml_assets.training.frame import FeatureColumns

_gains = st.dictionaries(st.sampled_from("abcdefg"), st.floats(0.001, 10), min_size=1)


@given(_gains)
def test_the_same_ranking_is_perfect_whatever_the_unit(gains: dict[str, float]) -> None:
    assert ndcg(gains, {name: gain * 8 for name, gain in gains.items()}) == pytest.approx(1)


@given(_gains, st.randoms(use_true_random=False))
def test_ndcg_lies_between_0_and_1(gains: dict[str, float], random: object) -> None:
    other = {name: random.random() for name in gains}  # type: ignore[attr-defined]
    found = ndcg(gains, other)
    assert found is not None
    assert 0 < found <= 1 + 1e-12


def test_ndcg_is_that_of_the_formula() -> None:
    """Two features that change places: gains 3 and 1 at ranks 2 and 1."""
    found = ndcg({"a": 3, "b": 1}, {"a": 1, "b": 3})
    assert found == pytest.approx((1 + 3 / np.log2(3)) / (3 + 1 / np.log2(3)))


def test_a_model_that_leans_on_nothing_has_no_ndcg() -> None:
    found = compare({"a": 0.0, "b": 0.0}, {"a": 1.0, "b": 0.0}, 0.9)
    assert (found.ndcg, found.drifted, found.reason) == (None, None, "the scores depend on no feature")


def test_another_ranking_is_drift_and_shares_stand_beside_it() -> None:
    found = compare({"a": 8.0, "b": 1.0, "c": 1.0}, {"a": 1.0, "b": 2.0, "c": 7.0}, 0.9)
    assert found.drifted is True
    assert [*found.reference] == [*found.current] == ["a", "b", "c"]
    assert found.current["c"] == pytest.approx(0.7)
    assert found.reason.endswith("< 0.9")


def test_attributions_follow_the_weights_and_the_spread() -> None:
    """A feature that the model ignores has none; one that no longer varies has none either."""
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({name: rng.normal(size=800).astype("float32") for name in ("strong", "weak", "none")})
    y = (2 * rows["strong"] + 0.5 * rows["weak"] + rng.logistic(size=800) > 0).astype(int)
    names = [*rows.columns]
    model = make_pipeline(ColumnTransformer([("all", "passthrough", names[:2])]), LogisticRegression()).fit(rows, y)
    loaded = session(to_onnx(model, FeatureColumns(tuple(names), ())))
    found = attributions(loaded, rows, seed=0)
    assert found["strong"] > 2 * found["weak"] > 0
    assert found["none"] == 0
    assert attributions(loaded, rows, seed=0) == found
    still = attributions(loaded, rows.assign(strong=np.float32(0.5)), seed=0)
    assert still["strong"] == 0
    assert compare(found, still, 0.9).drifted is True
