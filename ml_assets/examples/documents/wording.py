"""How dates, amounts and numbers are written in contracts."""

from datetime import date

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth".split()  # noqa: SIM905
DATE_FORMS = ("long", "us", "padded", "iso", "short", "ord")


def day(when: date, form: str) -> str:
    """A date as `long` (January 5, 2024), `ord` (5th day of January, 2024), `us` (1/5/2024), `padded`, `short`, `iso`.

    `long` is what any other name gives.
    """
    match form:
        case "iso":
            return when.isoformat()
        case "us":
            return f"{when.month}/{when.day}/{when.year}"
        case "padded":
            return f"{when:%m/%d/%Y}"
        case "ord":
            return f"{when.day}{suffix(when.day)} day of {MONTHS[when.month - 1]}, {when.year}"
        case "short":
            return f"{_short(MONTHS[when.month - 1])} {when.day}, {when.year}"
    return f"{MONTHS[when.month - 1]} {when.day}, {when.year}"


def money(cents: int) -> str:
    """`$1,234.56`; a negative amount in parentheses, as in accounts."""
    text = f"${abs(cents) // 100:,}.{abs(cents) % 100:02d}"
    return f"({text})" if cents < 0 else text


def plain(cents: int) -> str:
    """`1,234.56`; a negative amount in parentheses."""
    return money(cents).replace("$", "")


def dollars(cents: int) -> str:
    """`One Thousand Two Hundred Thirty-Four and 56/100 Dollars ($1,234.56)`."""
    whole = words(cents // 100).title()
    return f"{whole} and {cents % 100:02d}/100 Dollars ({money(cents)})"


def number_in_words(number: int) -> str:
    """`thirty (30)`."""
    return f"{words(number)} ({number})"


def ordinal(number: int) -> str:
    """`first`, `second` ... up to ten, `11th` from there."""
    return _ORDINALS[number - 1] if number <= len(_ORDINALS) else f"{number}{suffix(number)}"


def words(number: int) -> str:
    """A whole number from 0 to 999,999,999 in words."""
    for size, name in ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" {words(number % size)}" if number % size else ""
            return f"{words(number // size)} {name}{rest}"
    if number < len(_ONES):
        return _ONES[number]
    return _TENS[number // 10] + (f"-{_ONES[number % 10]}" if number % 10 else "")


def roman(number: int) -> str:
    """A whole number from 1 to 39 in Roman numerals."""
    return "X" * (number // 10) + ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")[number % 10]


def suffix(number: int) -> str:
    """`st`, `nd`, `rd` or `th`."""
    if number % 100 in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def _short(month: str) -> str:
    return month if len(month) <= 4 else f"{'Sept' if month == 'September' else month[:3]}."
