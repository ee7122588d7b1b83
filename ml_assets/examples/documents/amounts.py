"""Amounts of money that are written in a text.

Each expression is anchored at the start of a number and every repetition is bounded, so that the time is linear in the
length of the text, whatever it holds.
"""

import re
from collections.abc import Iterator

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


def amounts(text: str) -> tuple[float, ...]:
    """The amounts of US dollars in a text, each once, in order: $1,234.56; USD 1,234; 1,234 dollars; $2 million.

    In tables without a dollar sign, figures with cents at the end of a row are taken for amounts. The sign is dropped.
    """
    low = " ".join(text.split()).lower()  # an amount may be broken over two lines
    mentions = [
        (match.start(), _dollars(match[1], match[2])) for match in (*_SIGNED.finditer(low), *_NAMED.finditer(low))
    ]
    mentions += [(match.start(), _dollars(match[0][0] + match[1], match[2])) for match in _SPELLED.finditer(low)]
    mentions += [(match.start(), _dollars(match[0][0] + match[1], None)) for match in _PLAIN.finditer(low)]
    small = [figure for line in text.splitlines() for figure in _row(line)]
    return tuple(dict.fromkeys([*(amount for _, amount in sorted(mentions)), *small]))


def figures(line: str) -> int:
    """How many amounts stand at the end of a line."""
    if not _ENDING.search(line):
        return 0
    words = line.split()
    count = 0
    while count < len(words) and _FIGURE.fullmatch(words[-1 - count]):
        count += 1
    return count


def _dollars(number: str, scale: str | None) -> float:
    return float(number.replace(",", "")) * _SCALES[scale or ""]


def _row(line: str) -> Iterator[float]:
    """The figures at the end of a row with a label; `see Section 4.01` is none."""
    count = figures(line)
    words = line.split() if count else []
    if not count or count == len(words) or words[-1 - count].lower() in _SECTIONS:
        return
    yield from (float(word.strip("()-$").replace(",", "")) for word in words[-count:])
