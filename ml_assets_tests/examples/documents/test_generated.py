"""Drawn documents: the same for a seed, and true in every word."""

import re
from collections import Counter
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.errors import DataError, DeclarationError
from ml_assets.examples.documents import wording
from ml_assets.examples.documents.dice import Dice
from ml_assets.examples.documents.draw import draw, reflow, short, texts
from ml_assets.examples.documents.facts import Facts
from ml_assets.examples.documents.grammar import Phrase, Slot, banks, parse
from ml_assets.examples.documents.layouts import find, layouts, names
from ml_assets.examples.documents.truth import LABELS, Truth

EVERY = sorted(layouts())
CLASS_WORDS = ("lease", "amendment", "addendum", "cam", "common area")


def _flat(text: str) -> str:
    return " ".join(text.split()).casefold()


def _forms(truth: Truth, text: str) -> None:
    """Whatever the truth states is written in the text."""
    for party in truth.parties:
        assert party.name.casefold() in text, party
    for dated in truth.dates:
        written = [wording.day(dated.day, form).casefold() for form in wording.DATE_FORMS]
        assert any(form in text for form in written), dated
    for amount in truth.amounts:
        assert wording.plain(amount.cents) in text, amount


def test_every_class_has_layouts_and_some_are_held_out() -> None:
    for label in LABELS:
        assert len(names(label)) >= 6
        assert len(names(label, held_out=True)) >= 2
        assert {find(label, name).held_out for name in names(label, held_out=True)} == {True}


def test_no_two_layouts_share_a_bank_and_every_bank_is_used() -> None:
    used = Counter(bank for layout in layouts().values() for bank in layout.banks)
    assert set(used.values()) == {1}
    assert set(used) | {"common", "covenants", "frames"} == set(banks())


@pytest.mark.parametrize(("label", "layout"), EVERY)
def test_what_is_true_is_written(label: str, layout: str) -> None:
    for seed in range(12):
        drawn = draw(seed, find(label, layout).label, layout)
        truth = drawn.truth
        assert (truth.label, truth.layout, truth.group) == (label, layout, f"{label}/{layout}")
        _forms(truth, _flat(truth.text))
        assert _flat(truth.title) in _flat(truth.text)
        assert truth.page_count == len(drawn.sheets) >= 1
        assert all(page.strip() for page in truth.pages)


@pytest.mark.parametrize(("label", "layout"), EVERY)
def test_no_line_leaves_the_page_or_covers_another(label: str, layout: str) -> None:
    from reportlab.pdfbase.pdfmetrics import stringWidth

    for seed in range(6):
        drawn = draw((seed, 5), find(label, layout).label, layout, length=0.7)
        for sheet in drawn.sheets:
            boxes = []
            for span in sheet.spans:
                right = span.x + stringWidth(span.text, span.font, span.size)
                assert 0 < span.x < right < drawn.style.paper[0], span
                assert 20 < span.y < drawn.style.paper[1] - 20, span
                boxes.append((span.y, span.x, right, span.size))
            boxes.sort(reverse=True)
            for place, (y, left, right, _) in enumerate(boxes):
                for below, other, end, size in boxes[place + 1 : place + 6]:
                    assert y - below > 0.7 * size or end <= left or right <= other, (y, left, below, other)


def test_a_text_without_pages_has_the_same_facts_and_no_page_numbers() -> None:
    for seed in range(40):
        truth = reflow(draw((seed, 8)))
        assert truth.page_count == 1
        _forms(truth, _flat(truth.text))
        assert not re.search(r"^page \d+ of \d+$", truth.text, re.IGNORECASE | re.MULTILINE)


def test_the_same_seed_draws_the_same_document() -> None:
    for seed in range(30):
        assert draw(seed) == draw(seed)
    assert draw(1).truth != draw(2).truth


def test_more_texts_begin_with_the_same_ones() -> None:
    assert list(texts(20, 3)) == list(islice(texts(50, 3), 20))
    assert len({document for document, _ in texts(200, 3)}) == 200


def test_held_out_layouts_are_chosen_on_request_only() -> None:
    for seed in range(60):
        apart = draw(seed, held_out=True).truth
        assert find(apart.label, apart.layout).held_out
        usual = draw(seed, held_out=False).truth
        assert not find(usual.label, usual.layout).held_out


@pytest.fixture(scope="module")
def truths() -> list[Truth]:
    """What is true of a thousand documents; to draw them takes seconds."""
    return [truth for _, truth in texts(1_000, 7)]


def test_documents_run_from_one_page_to_about_twenty(truths: list[Truth]) -> None:
    counts = [truth.page_count for truth in truths]
    assert min(counts) == 1
    assert 15 <= max(counts) <= 40
    assert sum(count <= 3 for count in counts) > len(counts) / 2


def test_many_titles_do_not_tell_the_class(truths: list[Truth]) -> None:
    telling: Counter[bool] = Counter()
    for truth in truths:
        if truth.label in {"lease", "amendment", "addendum", "cam_statement"}:
            telling[any(word in truth.title.casefold() for word in CLASS_WORDS)] += 1
    assert telling[False] > 0.25 * telling.total()


def test_other_documents_use_the_words_of_the_classes(truths: list[Truth]) -> None:
    """Hard negatives: an `other` is not told by the absence of `lease` and `amendment`."""
    others = [_flat(truth.text) for truth in truths if truth.label == "other"]
    assert sum("lease" in text for text in others) > 0.4 * len(others)
    assert sum("amend" in text for text in others) > 0.1 * len(others)


def test_a_short_document_is_short() -> None:
    assert max(short((4, seed), 3).truth.page_count for seed in range(60)) <= 3
    assert {short((4, seed), 1).truth.page_count for seed in range(60)} == {1}


def test_an_unknown_layout_is_named() -> None:
    with pytest.raises(DataError, match="no layout lease/deeds: choose one of lease/office"):
        draw(1, "lease", "deeds")


def test_a_phrase_is_read_as_alternatives_and_slots() -> None:
    inner = Phrase((("may ", Slot("rent")), ("shall",)))
    assert parse("Tenant [may {rent}|shall] pay") == Phrase((("Tenant ", inner, " pay"),))
    with pytest.raises(DeclarationError, match=r"\{rnet\} is no slot"):
        Facts(Dice(1)).say("rnet")


@given(st.integers(0, 999_999_999))
def test_words_and_figures_say_the_same(cents: int) -> None:
    text = wording.dollars(cents)
    assert text.endswith(f"({wording.money(cents)})")
    assert int(re.sub(r"\D", "", wording.money(cents))) == cents


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_any_seed_draws_a_true_document(first: int, second: int) -> None:
    truth = draw((first, second)).truth
    _forms(truth, _flat(truth.text))
