"""Dates that are written in a text.

Each expression is anchored at the start of a number or a month and every repetition is bounded, so that the time is
linear in the length of the text, whatever it holds.
"""

import re
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


def dates(text: str) -> tuple[date, ...]:
    """The whole dates in a text, each once, in order: January 5, 2024; 5th day of January, 2024; 1/5/2024; 2024-01-05.

    Figures with slashes are read as in the United States, month first. Impossible dates are left out.
    """
    low = " ".join(text.split()).lower()  # a date may be broken over two lines
    mentions = [(match.start(), _named(match[1], match[2], match[3])) for match in _MONTH_FIRST.finditer(low)]
    mentions += [(match.start(), _named(match[1], match[0], match[2])) for match in _DAY_FIRST.finditer(low)]
    mentions += [(match.start(), _numbered(match[0])) for match in _FIGURES.finditer(low)]
    return tuple(dict.fromkeys(day for _, day in sorted(mentions, key=lambda each: each[0]) if day))


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
