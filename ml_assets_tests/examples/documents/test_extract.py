"""What is extracted: forms of dates, amounts and parties; precision and recall on drawn documents; time."""

import functools
import time
from collections.abc import Callable, Collection, Iterable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.classify_rows import mask_class_words
from ml_assets.documents.document import Document, Page
from ml_assets.examples.documents.amounts import amounts
from ml_assets.examples.documents.dates import dates
from ml_assets.examples.documents.draw import texts
from ml_assets.examples.documents.extract import facts
from ml_assets.examples.documents.parties import parties
from ml_assets.examples.documents.truth import Truth
from ml_assets.examples.documents.wording import DATE_FORMS, day, dollars, money
from ml_assets.storage.scorer import normal

DAYS = st.dates(date(1900, 1, 1), date(2100, 12, 31))


@given(DAYS, st.sampled_from(DATE_FORMS))
def test_any_day_is_found_in_each_form(when: date, form: str) -> None:
    assert dates(f"made on {day(when, form)}, by and between") == (when,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dated as of the 5th day of January, 2024", date(2024, 1, 5)),
        ("this 21st day\nof March 2019", date(2019, 3, 21)),
        ("JANUARY 5TH, 2024", date(2024, 1, 5)),
        ("5 January 2024", date(2024, 1, 5)),
        ("January5,2024", date(2024, 1, 5)),
        ("Sept. 30, 2021", date(2021, 9, 30)),
        ("on 1/5/24", date(2024, 1, 5)),
        ("on 12-31-1999.", date(1999, 12, 31)),
    ],
)
def test_dates_as_people_write_them(text: str, expected: date) -> None:
    assert dates(text) == (expected,)


@pytest.mark.parametrize(
    "text", ["2/30/2024", "13/13/2024", "Section 1.2.2024", "May 2024", "555-12-2024-1", "1/5/2024/7"]
)
def test_what_is_no_date(text: str) -> None:
    assert dates(text) == ()


@given(st.integers(0, 10**11))
def test_any_amount_is_found_as_written(cents: int) -> None:
    assert amounts(f"the sum of {money(cents)} per month") == (cents / 100,)
    if cents < 10**10:
        assert amounts(f"pays {dollars(cents)}.") == (cents / 100,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$4,250", (4250.0,)),
        ("USD 1,000.50 and 2,000 dollars", (1000.5, 2000.0)),
        ("US$ 12", (12.0,)),
        ("$2.5 million", (2_500_000.0,)),
        ("Janitorial 845.20 12,000.00 (11,154.80)", (12000.0, 11154.8, 845.2)),
        ("see Section 4.01", ()),
        ("4.01 Rent. Tenant pays", ()),
        ("a share of 12.50% of 10,000.00 square feet", ()),
        ("12,345 square feet in Suite 200", ()),
    ],
)
def test_amounts_as_people_write_them(text: str, expected: tuple[float, ...]) -> None:
    assert amounts(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'by and between Cedar Ridge Holdings, LLC, a Texas corporation ("Landlord"), and Maria Lopez ("Tenant").',
            {"Cedar Ridge Holdings, LLC", "Maria Lopez"},
        ),
        ("LANDLORD: Old Mill Realty, Inc.\nTENANT: John A. Smith", {"Old Mill Realty, Inc.", "John A. Smith"}),
        ("LANDLORD:\nOld Mill Realty, Inc., a Nevada corporation\nBy: ______", {"Old Mill Realty, Inc."}),
        ("Tenant(s): Ann Lee, Bob Stone", {"Ann Lee", "Bob Stone"}),
        ("between Apex Foods LLC, as landlord, and Ann Lee, as tenant, of", {"Apex Foods LLC", "Ann Lee"}),
        ("BETWEEN ACME FOODS, LLC, LANDLORD, AND ANN LEE, TENANT", {"ACME FOODS, LLC", "ANN LEE"}),
        ("the Landlord and the Tenant agree between themselves", set()),
        ("Tenant Signature: ________\nBase Rent: $500", set()),
    ],
)
def test_parties_as_contracts_name_them(text: str, expected: set[str]) -> None:
    assert {name.rstrip(".") for name in parties(text)} == {name.rstrip(".") for name in expected}


class _Score:
    """Counts of what was found, what is true, and what is both."""

    def __init__(self) -> None:
        self.found = self.true = self.both = 0

    def add(self, found: Collection[object], true: Collection[object]) -> None:
        self.found += len(found)
        self.true += len(true)
        self.both += len(set(found) & set(true))

    @property
    def precision(self) -> float:
        return self.both / self.found

    @property
    def recall(self) -> float:
        return self.both / self.true


def _names(names: Iterable[str]) -> set[str]:
    return {" ".join(name.casefold().replace(",", "").replace(".", "").split()) for name in names}


Sides = tuple[Collection[object], Collection[object]]
KINDS: dict[str, Callable[[Truth], Sides]] = {
    "dates": lambda truth: (set(dates(truth.text)), {dated.day for dated in truth.dates}),
    "amounts": lambda truth: (set(amounts(truth.text)), {amount.dollars for amount in truth.amounts}),
    "parties": lambda truth: (_names(parties(truth.text)), _names(party.name for party in truth.parties)),
}
FLOORS = {"dates": (0.99, 0.99), "amounts": (0.99, 0.98), "parties": (0.96, 0.88)}


@functools.cache
def drawn(*, held_out: bool) -> list[Truth]:
    """What is true of 600 documents; to draw them takes a second."""
    return [truth for _, truth in texts(600, 21, held_out=held_out)]


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_precision_and_recall_on_drawn_documents(kind: str, held_out: bool) -> None:
    score = _Score()
    for truth in drawn(held_out=held_out):
        score.add(*KINDS[kind](truth))
    floor = FLOORS[kind]
    assert score.precision >= floor[0], (kind, score.precision)
    assert score.recall >= floor[1], (kind, score.recall)


def test_a_document_is_described() -> None:
    text = (
        "LEASE\n1. Parties. This lease is made on January 5, 2024 between Apex Foods LLC, as landlord, and"
        " Ann Lee, as tenant."
        "\n2. Rent. $1,000.00 a month.\nCleaning 10.00 20.00\nIN WITNESS WHEREOF\nBy: ________"
    )
    found = facts(f"{text}\fPage two")
    assert found.words == len(f"{text} Page two".split())
    assert found.characters == len(text) + len("\fPage two")
    assert (found.has_dates, found.has_amounts, found.has_signature) == (True, True, True)
    assert found.n_sections == 2
    assert found.table_share == pytest.approx(1 / 7)
    assert set(found.parties) == {"Apex Foods LLC", "Ann Lee"}
    assert found.dates == (date(2024, 1, 5),)
    assert found.amounts == (1000.0, 20.0, 10.0) or set(found.amounts) == {1000.0, 20.0, 10.0}


def test_confidence_is_weighted_by_characters_of_recognised_pages() -> None:
    pages = (Page("abc", "ocr", 0.9), Page("a", "ocr", 0.5), Page("x" * 99, "text", 1.0))
    assert Document("pdf", 1, pages).ocr_confidence == pytest.approx(0.8)
    assert Document("pdf", 1, pages).ocr_pages == 2
    assert Document("pdf", 1, pages[2:]).ocr_confidence is None


def test_a_document_without_anything_is_described() -> None:
    found = facts("")
    assert (found.words, found.table_share, found.digit_share) == (0, 0.0, 0.0)
    assert (found.has_dates, found.has_amounts, found.has_signature) == (False, False, False)


def test_normal_text_is_words_alone() -> None:
    assert normal("The ﬁrst LEASE — $1,234.56\n\ton 1/5/2024, Ｆｕｌｌ") == "the first lease on full"


@given(st.text(max_size=300))
def test_normal_text_is_normal(text: str) -> None:
    once = normal(text)
    assert normal(once) == once
    assert set(once) <= set("abcdefghijklmnopqrstuvwxyz ")
    assert "  " not in once


def test_masked_text_does_not_name_its_class() -> None:
    text = (
        "First Amendment to LEASE; the lessee's Addendum, CAM charges, common area maintenance reconciliation, amended"
    )
    assert normal(mask_class_words(text)) == "first to the s charges"
    assert mask_class_words("camera, release, please, camp") == "camera, release, please, camp"


HOSTILE = {
    "digits": "1" * 20_000,
    "commas": "1,111" * 4_000,
    "dots": "1.1." * 5_000,
    "slashes": "1/1/" * 5_000,
    "blanks": " " * 20_000,
    "tabs": "\t" * 20_000,
    "lines": "\n" * 20_000,
    "underscores": "_" * 20_000,
    "dollars": "$" * 20_000,
    "brackets": "(" * 20_000,
    "quotes": '("' * 10_000,
    "capitals": "A" * 20_000,
    "names": "Ab " * 6_600,
    "and": "A and " * 3_300,
    "between": "between A B and " * 1_250,
    "roles": 'Ab Cd ("Landlord") ' * 1_050,
    "as": "Ab Cd, as landlord " * 1_050,
    "labels": "Tenant: A B\n" * 1_660,
    "months": "January " * 2_500,
    "days": "5th day of " * 1_800,
    "sections": "Section " * 2_500,
    "gaps": "a    " * 4_000,
    "figures": "1.00 " * 4_000,
    "commons": "common - - - " * 1_500,
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_text_takes_no_longer_than_its_length(name: str) -> None:
    """Four times the text may take about four times as long; sixteen times would be quadratic."""
    text = HOSTILE[name]
    once, four = (min(_seconds(text * times) for _ in range(3)) for times in (1, 4))
    assert four < 9 * once + 0.02, (once, four)
    assert once < 0.25


def _seconds(text: str) -> float:
    began = time.thread_time()  # of this thread: tests run side by side
    facts(text)
    normal(text)
    mask_class_words(text)
    return time.thread_time() - began


def test_twenty_thousand_characters_take_milliseconds() -> None:
    text = "\n".join(truth.text for _, truth in texts(12, 4))[:20_000]
    assert len(text) == 20_000
    assert min(_seconds(text) for _ in range(7)) < 0.03  # about 5 ms on an idle core; machines of tests are not idle
