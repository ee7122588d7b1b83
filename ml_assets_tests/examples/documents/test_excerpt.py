"""Parts of documents: their class is that of the whole, and nothing is true of them that is not written in them."""

from collections import Counter
from itertools import islice
from typing import get_args

import pytest

from ml_assets.examples.documents.dice import Dice
from ml_assets.examples.documents.draw import draw, texts
from ml_assets.examples.documents.excerpt import SHARE, Part, choose_part, delivered_truths, excerpt
from ml_assets_tests.examples.documents.test_generated import _flat, _forms


@pytest.mark.parametrize("part", get_args(Part))
def test_what_is_true_of_a_part_is_written_in_it(part: Part) -> None:
    for seed in range(40):
        whole = draw(seed)
        cut = excerpt(whole, part, Dice(seed, 8))
        assert cut == excerpt(whole, part, Dice(seed, 8))
        assert (cut.truth.label, cut.truth.group) == (whole.truth.label, whole.truth.group)
        assert 0 < len(cut.truth.text.split()) <= 1.2 * len(whole.truth.text.split()) + 20
        _forms(cut.truth, _flat(cut.truth.text))


def test_a_cover_has_a_title_and_little_else() -> None:
    covers = [excerpt(draw(seed, "lease"), "cover", Dice(seed, 8)).truth for seed in range(60)]
    short = [truth for truth in covers if len(truth.text.split()) < 30]
    assert len(short) > 20
    assert all(truth.title for truth in short)
    assert any("landlord and tenant" in truth.text for truth in short)


def test_about_a_tenth_is_parts_and_the_others_are_whole() -> None:
    parts = Counter(choose_part(Dice(1, number, 8)) for number in range(4_000))
    assert 1 - parts[None] / 4_000 == pytest.approx(SHARE, abs=0.02)
    assert parts.keys() == {None, *get_args(Part)}
    pairs = zip(delivered_truths(40, 3), (truth for _, truth in texts(40, 3)), strict=True)
    assert sum(one == other for one, other in pairs) > 30
    assert list(islice(delivered_truths(40, 3), 5)) == list(delivered_truths(5, 3))
