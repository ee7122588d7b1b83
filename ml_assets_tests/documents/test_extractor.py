"""Extractors: which function may be one, and what becomes of a text over which it fails, loops, or lies."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from ml_assets.documents.document import LIMITS, ReadingLimits, UnreadableError
from ml_assets.documents.extractor import load_extractor
from ml_assets.documents.reader import DocumentReader
from ml_assets.errors import DeclarationError

HERE = "ml_assets_tests.documents.extractors"


@pytest.fixture(scope="module")
def reader() -> Iterator[DocumentReader]:
    with DocumentReader(LIMITS, processes=1) as reader:
        yield reader


def test_the_fields_of_the_dataclass_are_the_columns_and_their_annotations_the_types(reader: DocumentReader) -> None:
    extractor = load_extractor(f"{HERE}:invoice")
    assert dict(extractor.columns) == {
        "total": (float, False), "lines": (int, False), "days": (date, True), "buyers": (str, True)
    }  # fmt: skip
    facts = reader.extract("abc", extractor)
    assert facts == {"total": 12.5, "lines": 3, "days": (date(2026, 3, 2),), "buyers": ["Zoë"]}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.at_all:facts", "extract names 'nowhere.at_all:facts', which cannot be imported"),
        (f"{HERE}:nothing", "which cannot be imported"),
        (f"{HERE}:NUMBER", "which is a int"),
        (f"{HERE}:untyped", "return annotation is None: name a dataclass"),
        (f"{HERE}:plain", "return annotation is <class 'str'>: name a dataclass"),
        (f"{HERE}:nested", "whose column 'total' is of type .*Invoice.*: use bool, int"),
    ],
)
def test_what_is_no_extractor_is_refused_by_name(path: str, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        load_extractor(path)


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("fail", "extractor", "fails on the document .ZeroDivisionError: no lines.: correct it"),
        ("half", "extractor", "UnicodeEncodeError"),
        ("lie", "extractor", "Expected `float | null`, got `str`"),
    ],
)
def test_a_text_over_which_it_fails_is_refused_and_the_next_one_is_not(
    reader: DocumentReader, text: str, code: str, message: str
) -> None:
    extractor = load_extractor(f"{HERE}:invoice")
    with pytest.raises(UnreadableError, match=message) as refused:
        reader.extract(text, extractor)
    assert refused.value.code == code
    assert reader.extract("good", extractor)["lines"] == 4


def test_one_that_does_not_end_is_ended() -> None:
    slow = pytest.raises(UnreadableError, match="took more than 2 s")
    with DocumentReader(ReadingLimits(seconds=2), 1) as hasty, slow:
        hasty.extract("loop", load_extractor(f"{HERE}:invoice"))


def test_it_runs_in_a_process_of_its_own_without_our_secrets(
    reader: DocumentReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "1")
    extractor = load_extractor(f"{HERE}:environment")
    facts: dict[str, Any] = reader.extract("", extractor)
    assert (facts["secret"], facts["pid"] in reader.pids) == (None, True)
