"""A snippet shows where the query is answered, and is safe to put on a page."""

import re
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.search.snippet import snippet
from ml_assets.search.terms import terms

FILLER = "Nothing of the kind is said in this part of it. " * 40


def weights(query: str) -> dict[str, float]:
    return dict.fromkeys(terms(query), 1.0)


@pytest.mark.parametrize(
    ("query", "marked"),
    [
        ("rent", "<mark>Rents</mark>"), ("RENTING", "<mark>Rents</mark>"), ("increase rent", "<mark>increased</mark>"),
        ("12500", "<mark>12,500.00</mark>"), ("cafe", "<mark>Café</mark>"),
    ],
)  # fmt: skip
def test_words_are_marked_by_their_stems(query: str, marked: str) -> None:
    text = f"{FILLER} Rents for the Café were increased to $12,500.00 that year. {FILLER}"
    assert marked in snippet(text, weights(query))


def test_a_phrase_is_one_mark_and_wins_over_its_scattered_words() -> None:
    text = f"The rent is due. {FILLER} Any increase is noted. {FILLER} A rent increase was announced. {FILLER}"
    assert "A <mark>rent increase</mark> was announced" in snippet(text, weights("rent increases"))


def test_the_window_with_more_of_the_query_wins() -> None:
    text = f"rent rent rent rent {FILLER} rent, deposit and parking {FILLER}"
    found = snippet(text, weights("rent deposit parking"))
    assert "<mark>deposit</mark> and <mark>parking</mark>" in found
    assert found.startswith("…")
    assert found.endswith("…")


def test_without_a_match_the_text_begins() -> None:
    assert snippet("One  two\n three", weights("nothing")) == "One two three"
    assert snippet("", {}) == ""


def test_html_is_escaped() -> None:
    found = snippet('<script>alert("rent")</script> & rent', weights("rent"))
    assert "<script>" not in found
    assert found == "&lt;script&gt;alert(&quot;<mark>rent</mark>&quot;)&lt;/script&gt; &amp; <mark>rent</mark>"


@settings(deadline=None)  # the first example loads the tokenizer
@given(st.text(max_size=600), st.text(max_size=40))
def test_what_is_shown_is_a_part_of_the_text(text: str, query: str) -> None:
    found = snippet(text, weights(query))
    plain = unescape(re.sub("</?mark>", "", found)).strip("…")
    assert " ".join(plain.split()) in " ".join(text.split()) or "…" in text
    assert re.sub("</?mark>", "", found).count("<") == 0
    assert len(plain) <= 200 + 70 or not plain


@settings(deadline=None)  # the first example loads the tokenizer
@given(st.lists(st.sampled_from(["rent", "rented", "deposit", "and", "of", "the roof"]), min_size=1, max_size=80))
def test_marks_are_of_the_query_only_and_there_is_one_where_a_word_is_found(words: list[str]) -> None:
    found = re.findall("<mark>(.*?)</mark>", snippet(" ".join(words), weights("rents")))
    assert all(set(terms(mark)) == {"rent"} for mark in found)
    assert bool(found) == any(word.startswith("rent") for word in words)
