"""Tables of leaves give the Shapley values of their definition: missing values, categories, views, several outputs."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.reasons.columns import SeenColumn
from ml_assets.reasons.contributions import Target, explain
from ml_assets.reasons.explainer import ReasonsError, read_explainer, write_explainer
from ml_assets.reasons.graph import Nodes, TreeModel
from ml_assets.reasons.leaf_tables import build_tables
from ml_assets_tests.reasons.brute_force import shapley, tree_score

FEATURES = ("a", "b", "c", "plan", "d")
CODES = {"basic": 0, "pro": 1, "rare": 2, "seldom": 2}
COLUMNS = [
    SeenColumn("a"), SeenColumn("b"), SeenColumn("c", fill=0.5), SeenColumn("d"),
    *(SeenColumn("plan", level=level, codes=CODES, other=2) for level in range(3)),
]  # fmt: skip
NUMBERS = st.one_of(st.none(), st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0]))
ROWS = st.tuples(NUMBERS, NUMBERS, NUMBERS, st.sampled_from([*CODES, "unknown", None]), NUMBERS)
ALONE = {name: name for name in FEATURES}
VIEWS = {"a": "first", "b": "first", "c": "second", "plan": "second", "d": "third"}


def grown(seed: int, trees: int = 3, outputs: int = 1, depth: int = 5) -> TreeModel:
    """Trees that ask any column again and again."""
    rng = np.random.default_rng(seed)
    nodes: list[list[Any]] = []
    leaves: list[tuple[int, float, int]] = []

    def grow(left: int) -> int:
        node, column = len(nodes), int(rng.integers(len(COLUMNS)))
        limit = 0.5 if COLUMNS[column].level is not None else rng.choice([-1.0, 0.0, 0.5, 1.0])
        nodes.append([column, limit, False, -1, -1, bool(rng.integers(2))])
        if left and rng.random() < 0.8:
            nodes[node][2:5] = [True, grow(left - 1), grow(left - 1)]
        else:
            leaves.append((node, float(rng.normal()), int(rng.integers(outputs))))
        return node

    for _ in range(trees):
        grow(depth)
    columns, limits, branches, true, false, missing = zip(*nodes, strict=True)
    places, weights, of = zip(*leaves, strict=True)
    arrays = [
        np.array(columns), np.array(limits, np.float32), np.array(branches), np.array(true), np.array(false),
        np.array(missing), np.array(places), np.array(weights), np.array(of),
    ]  # fmt: skip
    return TreeModel(COLUMNS, Nodes(*arrays), rng.normal(size=outputs))


@given(
    st.integers(0, 10_000), st.lists(ROWS, min_size=1, max_size=5), ROWS, st.sampled_from([ALONE, VIEWS]),
    st.sampled_from([1, 3]),
)  # fmt: skip
@settings(max_examples=60)
def test_every_value_is_that_of_all_coalitions(
    seed: int, background: list[Any], row: Any, players: dict[str, str], outputs: int
) -> None:
    model = grown(seed, outputs=outputs)
    tables = build_tables(model, FEATURES, background, players, dtype=np.float64)
    assert tables is not None
    names = list(dict.fromkeys(players.values()))
    places = [[at for at, name in enumerate(FEATURES) if players[name] == player] for player in names]
    score = tree_score(model, FEATURES)
    found = tables.contributions(row)
    assert list(found.names) == names
    np.testing.assert_allclose(found.parts, shapley(score, row, background, places), atol=1e-9)
    np.testing.assert_allclose(found.base, np.mean([score(each) for each in background], axis=0), atol=1e-9)


def test_what_is_kept_gives_the_same_bits() -> None:
    row = (0.3, None, 1.5, "pro", -2.0)
    tables = build_tables(grown(1), FEATURES, [(0.0, 1.0, None, None, 0.1), row], ALONE)
    assert tables is not None
    content = write_explainer(tables)
    again = read_explainer(content, lambda _: np.zeros((0, 2)))
    assert write_explainer(again) == content
    for each in (row, (None,) * 5):
        one, two = tables.contributions(each), again.contributions(each, "")
        np.testing.assert_array_equal(one.parts, two.parts)
        assert (one.names, one.values, one.base.tolist()) == (two.names, two.values, two.base.tolist())
    with pytest.raises(ReasonsError, match="no reasons of a release"):
        read_explainer(content[:-40], lambda _: np.zeros((0, 2)))


def test_an_ensemble_that_is_too_large_has_no_tables() -> None:
    assert build_tables(grown(1), FEATURES, [(0.0,) * 5], ALONE, largest=100) is None


def test_only_what_speaks_for_the_decision_is_a_reason_and_the_largest_comes_first() -> None:
    tables = build_tables(grown(3), FEATURES, [(0.0, 1.0, None, None, 0.1), (2.0, 1.0, 0.2, "pro", 1.0)], ALONE)
    assert tables is not None
    found = tables.contributions((1.0, -1.0, 0.7, "basic", None))
    up, down = (explain(found, Target(sign=sign), 10, {"d": "no d is known"}) for sign in (1, -1))
    every = [reason.contribution for reason in (*up.reasons, *down.reasons)]
    assert sum(every) == pytest.approx(found.parts.sum())
    for sign, some in ((1, up), (-1, down)):
        own = [sign * reason.contribution for reason in some.reasons]
        assert own == sorted(own, reverse=True)
        assert min(own) > 0
    for reason in (*up.reasons, *down.reasons):  # declared words are of what raises the score
        if reason.feature == "d":
            assert reason.text == ("no d is known" if reason.contribution > 0 else "d is missing")
        elif reason.feature == "plan":
            assert reason.text == "plan is basic"
