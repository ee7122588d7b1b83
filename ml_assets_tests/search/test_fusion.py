"""Fusion: a function of scores, never of places; better in either part is never worse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray  # noqa: TC002 - hypothesis reads annotations

from ml_assets.search.fusion import Fusion, bm25, fuse, order
from ml_assets.search.lexicon import Lexicon

BOTH: list[Fusion] = ["reciprocal", "convex"]
SCORES = arrays(np.float64, 8, elements=st.floats(0, 9).map(lambda score: round(score, 2)))
IDS = [f"d{number}" for number in range(8)]


def test_bm25_is_the_formula() -> None:
    known = Lexicon(("lease", "rent"), np.array([3, 5]), 10, 4.0)
    found = bm25(known, {"rent": 1.0, "lease": 0.5}, [["rent", "rent", "due"], ["lease"], []])
    idf = np.log(1 + (10 - 5 + 0.5) / 5.5)
    assert found[0] == pytest.approx(idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 3 / 4)))
    assert found[1] == pytest.approx(0.5 * np.log(1 + 7.5 / 3.5) * 2.2 / (1 + 1.2 * (0.25 + 0.75 / 4)))
    assert found[2] == 0


def test_reciprocal_rank_fusion_is_the_papers() -> None:
    found = fuse(np.array([3.0, 2, 0]), np.array([0.1, 0.9, 0.5]), mode="hybrid", fusion="reciprocal")
    assert found == pytest.approx([1 / 61 + 1 / 63, 1 / 62 + 1 / 61, 1 / 62])


def test_a_part_alone_ranks_what_it_found() -> None:
    words, sense = np.array([3.0, 0, 1]), np.array([0.1, 0.9, -0.2])
    assert order(fuse(words, sense, mode="bm25", fusion="convex"), IDS) == [0, 2]
    assert order(fuse(words, sense, mode="vector", fusion="convex"), IDS) == [1, 0]


@pytest.mark.parametrize("fusion", BOTH)
@given(words=SCORES, sense=SCORES, places=st.permutations(range(8)))
def test_the_order_of_the_candidates_does_not_matter(
    fusion: Fusion, words: "NDArray[np.float64]", sense: "NDArray[np.float64]",
    places: list[int],
) -> None:  # fmt: skip
    found = fuse(words, sense, mode="hybrid", fusion=fusion)
    mixed = fuse(words[places], sense[places], mode="hybrid", fusion=fusion)
    assert mixed == pytest.approx(found[places], nan_ok=True)
    names = [IDS[place] for place in places]
    assert [IDS[at] for at in order(found, IDS)] == [names[at] for at in order(mixed, names)]


@pytest.mark.parametrize("fusion", BOTH)
@given(words=SCORES, sense=SCORES)
def test_better_in_both_parts_is_never_behind(
    fusion: Fusion, words: "NDArray[np.float64]", sense: "NDArray[np.float64]"
) -> None:
    found = np.nan_to_num(fuse(words, sense, mode="hybrid", fusion=fusion))
    for one in range(8):
        for other in range(8):
            if words[one] >= words[other] and sense[one] >= sense[other]:
                assert found[one] >= found[other] - 1e-12


def test_ties_are_broken_by_id() -> None:
    assert order(np.array([1.0, 2.0, 1.0 + 1e-9, np.nan]), ["c", "b", "a", "z"]) == [1, 2, 0]
