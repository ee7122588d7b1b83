"""Dates and amounts of money that are written in a text.

Each expression is anchored at the start of a number or a month and every repetition is bounded, so that the time is
linear in the length of the text, whatever it holds.
"""

import re
from collections.abc import Iterator
from datetime import date

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
# Each begins with a set of characters: the engine then skips to the next of them, five times as fast as an assertion.
_ALONE = r"(?<![\d.,/-]\d)"
_MONTH_FIRST = re.compile(rf"{_MONTH}\.? ?(\d{{1,2}})(?:st|nd|rd|th)? ?[,.]? ?(\d{{4}})(?!\d)")
_DAY_FIRST = re.compile(rf"\d{_ALONE}\d?(?:st|nd|rd|th)? (?:day of )?{_MONTH}\.? ?,? ?(\d{{4}})(?!\d)")
_FIGURES = re.compile(rf"\d{_ALONE}\d{{0,3}}([/-])\d{{1,2}}\1(?:\d{{4}}|\d{{2}})(?![\d/-])")
_DIGITS = re.compile(r"\d{1,4}")
_FIRST_YEAR, _LAST_YEAR = 1900, 2100
_CENTURY = 50  # 1/5/49 is in 2049, 1/5/50 in 1950

_NUMBER = r"((?:\d{1,3}(?:,\d{3}){1,4}|\d{1,12})(?:\.\d{1,2})?)(?!\d)"
_SCALE = r"(?: (million|billion|thousand)\b)?"
_UNIT = r"(?! ?(?:%|percent|square|sq\b|sf\b|rsf\b|acres?|miles?|feet|x\b))"
_SIGNED = re.compile(rf"\$ ?{_NUMBER}{_SCALE}")  # $1,234.56, US$ 12, $2 million
_NAMED = re.compile(rf"usd ?{_NUMBER}{_SCALE}")  # USD 1,234
_SPELLED = re.compile(  # 1,234.56 dollars
    rf"\d(?<![\d.,$/-]\d)((?:\d{{0,2}}(?:,\d{{3}}){{1,4}}|\d{{0,11}})(?:\.\d{{1,2}})?){_SCALE}"
    r" ?(?:u\.?s\.? )?(?:dollars|usd)\b"
)
_PLAIN = re.compile(
    rf"\d(?<![\d.,$/-]\d)(\d{{0,2}}(?:,\d{{3}}){{1,4}}\.\d\d)(?![\d,]){_UNIT}"
)  # 1,234.56, as in tables
_FIGURE = re.compile(r"\(?-?\$?\d{1,3}(?:,\d{3}){0,4}\.\d\d\)?")
_ENDING = re.compile(r"\.\d\d\)?\s{0,40}$")
_SECTIONS = {"section", "sections", "§", "article", "paragraph", "clause", "exhibit", "no.", "page", "and", "or", "to"}
_SCALES = {"": 1, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}


def dates(text: str) -> tuple[date, ...]:
    """The whole dates in a text, each once, in order: January 5, 2024; 5th day of January, 2024; 1/5/2024; 2024-01-05.

    Figures with slashes are read as in the United States, month first. Impossible dates are left out.
    """
    low = flat(text).lower()
    found = [(match.start(), _named(match[1], match[2], match[3])) for match in _MONTH_FIRST.finditer(low)]
    found += [(match.start(), _named(match[1], match[0], match[2])) for match in _DAY_FIRST.finditer(low)]
    found += [(match.start(), _numbered(match[0])) for match in _FIGURES.finditer(low)]
    return tuple(dict.fromkeys(day for _, day in sorted(found, key=lambda each: each[0]) if day))


def amounts(text: str) -> tuple[float, ...]:
    """The amounts of US dollars in a text, each once, in order: $1,234.56; USD 1,234; 1,234 dollars; $2 million.

    In tables without a dollar sign, figures with cents at the end of a row are taken for amounts. The sign is dropped.
    """
    low = flat(text).lower()
    found = [(match.start(), _dollars(match[1], match[2])) for match in (*_SIGNED.finditer(low), *_NAMED.finditer(low))]
    found += [(match.start(), _dollars(match[0][0] + match[1], match[2])) for match in _SPELLED.finditer(low)]
    found += [(match.start(), _dollars(match[0][0] + match[1], None)) for match in _PLAIN.finditer(low)]
    small = [figure for line in text.splitlines() for figure in _row(line)]
    return tuple(dict.fromkeys([*(amount for _, amount in sorted(found)), *small]))


def flat(text: str) -> str:
    """The text in one line: what is said in one breath may be broken over two lines."""
    return " ".join(text.split())


def figures(line: str) -> int:
    """How many amounts stand at the end of a line."""
    if not _ENDING.search(line):
        return 0
    words = line.split()
    count = 0
    while count < len(words) and _FIGURE.fullmatch(words[-1 - count]):
        count += 1
    return count


def _named(month: str, day: str, year: str) -> date | None:
    """A date with the name of its month; `day` may be followed by other words."""
    first = _DIGITS.match(day)
    return _date(int(year), _MONTHS.index(month[:3]) + 1, int(first[0])) if first else None


def _numbered(text: str) -> date | None:
    """2024-01-05, or month, day and year."""
    first, second, third = _DIGITS.findall(text)
    if len(first) == 4:
        return _date(int(first), int(second), int(third)) if "-" in text else None
    if len(first) == 3:
        return None
    year = int(third) + (0 if len(third) > 2 else 2000 if int(third) < _CENTURY else 1900)
    return _date(year, int(first), int(second))


def _date(year: int, month: int, day: int) -> date | None:
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None  # 2/30/2024 is a slip of the pen or no date at all


def _dollars(number: str, scale: str | None) -> float:
    return float(number.replace(",", "")) * _SCALES[scale or ""]


def _row(line: str) -> Iterator[float]:
    """The figures at the end of a row with a label; `see Section 4.01` is none."""
    count = figures(line)
    words = line.split() if count else []
    if not count or count == len(words) or words[-1 - count].lower() in _SECTIONS:
        return
    yield from (float(word.strip("()-$").replace(",", "")) for word in words[-count:])
