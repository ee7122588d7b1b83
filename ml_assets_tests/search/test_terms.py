"""One analysis at both ends: what a person types meets what a document says."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.search.terms import asked_terms, spans, terms


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
    assert all(a.start <= b.start and a.end <= b.end for a, b in pairwise(found))
    assert [asked_terms(text[span.start : span.end]) for span in found] == [[span.term] for span in found]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("清洁服务合同。服务方每周清洁楼梯一次,客户每月支付八十元。", "服务合同"),
        ("清洁服务合同", "合同"),
        ("本契約の賃借人はガレージを使用する。", "賃借人"),
        ("本契約の賃借人はガレージを使用する。", "ガレージ"),
        ("이 계약서는 임대차계약서이다", "임대차"),
        ("ผู้เช่าชำระค่าเช่าทุกเดือน", "ค่าเช่า"),
        ("租赁2024年", "2024"),
        ("租金", "租"),
    ],
)
def test_a_part_of_what_is_written_without_spaces_is_found(text: str, part: str) -> None:
    assert {*asked_terms(part)} <= {*terms(text)}
    assert asked_terms(part)


def test_a_query_without_spaces_asks_for_pairs_so_that_one_common_character_finds_nothing() -> None:
    assert asked_terms("服务合同") == ["服务", "务合", "合同"]
    assert not {*asked_terms("服务合同")} & {*terms("服装同意")}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Σύμβαση", "ΣΥΜΒΑΣΗ"), ("πάροχος", "ΠΑΡΟΧΟΣ"), ("Договор", "ДОГОВОР"), ("שָׁלוֹם", "שלום"), ("عَقْد", "عقد"),
        ("Mu\u0308ller", "Müller"), ("ﾘｰｽ", "リース"), ("ＬＥＡＳＥ", "leases"),
    ],
)  # fmt: skip
def test_case_accents_and_points_are_looked_past_in_every_script(one: str, other: str) -> None:
    assert terms(one) == terms(other) != []


def test_a_word_with_vowel_signs_is_one_term() -> None:
    assert len(terms("किराया समझौता")) == 2
