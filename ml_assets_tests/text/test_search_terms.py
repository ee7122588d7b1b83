"""One analysis at both ends: what a person types meets what a document says."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.text.terms import spans, terms


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("amendments", "Amended"), ("ESCALATION", "escalate"), ("Müller", "muller"), ("tenant's", "tenants"),
        ("O’Brien", "OBrien"), ("$12,500.00", "12500"), ("0042", "42"), ("1,234.50", "1234.5"), ("0.50", "0.5"),
    ],
)  # fmt: skip
def test_ways_to_write_one_thing_are_one_term(one: str, other: str) -> None:
    assert terms(one) == terms(other) != []


@pytest.mark.parametrize(
    ("one", "other"), [("12,500", "12501"), ("lease", "letter"), ("1.5", "15"), ("suite 4", "suite 5")]
)
def test_different_things_are_different_terms(one: str, other: str) -> None:
    assert terms(one) != terms(other)


def test_stop_words_and_marks_say_nothing() -> None:
    assert terms("The of, and!? — \0 \n") == []


@settings(deadline=None)  # the first example loads the tokenizer
@given(st.text())
def test_any_text_is_analysed_and_no_term_holds_white_space(text: str) -> None:
    assert all(term and not any(letter.isspace() for letter in term) for term in terms(text))


@settings(deadline=None)  # the first example loads the tokenizer
@given(st.text())
def test_spans_are_the_terms_in_their_places(text: str) -> None:
    found = list(spans(text))
    assert [span.term for span in found] == terms(text)
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert [terms(text[span.start : span.end]) for span in found] == [[span.term] for span in found]
