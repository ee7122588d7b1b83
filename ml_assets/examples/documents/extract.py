"""Facts in the text of an English contract, as `extract:` of the source names them: for search, checks and features."""

import re
from dataclasses import dataclass
from datetime import date

from ml_assets.examples.documents.amounts import amounts, figures
from ml_assets.examples.documents.dates import dates
from ml_assets.examples.documents.parties import parties

_SIGNED = ("/s/", "in witness whereof", "in witness hereof", "notary public")
# In lower case, and each with its own first letter: one alternation without regard to case takes ten times as long.
_SIGNATURES = tuple(
    map(
        re.compile,
        (
            r"by:? ?_{3}",
            r"signatures? ?[:_]",
            r"signed ?[:_]",
            r"print(?:ed)? name ?:",
            r"_[ \t]{1,8}date\b",
            r"(?:landlord|tenant|lessor|lessee|owner|resident|seller|buyer|guarantor)s?:[ \t]{0,20}_{3}",
        ),
    )
)
_SECTION = re.compile(
    r"^[ \t]{0,20}(?:(?:section|article|§)[ \t]{0,3}[\dIVXLivxl]{1,5}\b|\d{1,2}(?:\.\d{1,2}){0,2}[.)]?[ \t]{1,4}[A-Z]"
    r"|\(?[A-Za-z]{1,2}[.)][ \t]{1,4}[A-Z]|\(\d{1,2}\)[ \t]{1,4}[A-Z]|[IVX]{1,5}\.[ \t]{1,4}[A-Z])",
    re.MULTILINE,
)
_GAPS = re.compile(r"\S[ \t]{3,200}\S")


@dataclass(frozen=True)
class DocumentFacts:
    """Facts that the text of a document tells; each is a column of the source.

    Args:
        words: separated by white space.
        characters: with white space.
        has_dates: there is a whole date.
        has_amounts: there is an amount of money.
        has_signature: there is a signature block, or what is left of one.
        n_sections: lines that begin like a numbered or lettered section.
        table_share: share of the lines with words that look like rows of a table.
        digit_share: share of digits in the characters that are not white space.
        parties: names, in order of appearance by kind of mention.
        dates: each once.
        amounts: US dollars, each once.
    """

    words: int
    characters: int
    has_dates: bool
    has_amounts: bool
    has_signature: bool
    n_sections: int
    table_share: float
    digit_share: float
    parties: tuple[str, ...]
    dates: tuple[date, ...]
    amounts: tuple[float, ...]


def facts(text: str) -> DocumentFacts:
    """Everything that is extracted from a text, in time linear in its length.

    >>> facts("Lease of May 1, 2024 between Apex Foods LLC, as landlord, and Ann Lee, as tenant. Rent: $1,000.").parties
    ('Apex Foods LLC', 'Ann Lee')
    """
    days, sums = dates(text), amounts(text)
    return DocumentFacts(
        words=len(text.split()),
        characters=len(text),
        has_dates=bool(days),
        has_amounts=bool(sums),
        has_signature=_has_signature(text),
        n_sections=len(_SECTION.findall(text)),
        table_share=_table_share(text),
        digit_share=_digit_share(text),
        parties=parties(text),
        dates=days,
        amounts=sums,
    )


def _table_share(text: str) -> float:
    lines = [line for line in text.splitlines() if line.strip()]
    return sum(map(_tabular, lines)) / len(lines) if lines else 0.0


def _tabular(line: str) -> bool:
    """Figures at its end, or wide gaps between its words."""
    return figures(line) > 0 or len(_GAPS.findall(line)) > 1


def _digit_share(text: str) -> float:
    printed = sum(map(len, text.split()))
    return sum(map(text.count, "0123456789")) / printed if printed else 0.0


def _has_signature(text: str) -> bool:
    low = text.lower()
    return any(mark in low for mark in _SIGNED) or any(form.search(low) for form in _SIGNATURES)
