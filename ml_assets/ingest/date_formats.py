"""The strptime formats that a date may have been written in, told from one of them."""

import re
from collections.abc import Iterator
from datetime import datetime

_TIME = re.compile(r"(?P<gap>[ T])\d{1,2}:\d{2}(?P<seconds>:\d{2}(?P<fraction>\.\d+)?)?(?P<half> ?[AaPp][Mm])?")
_DAYS = (
    (r"\d{1,2}(?P<sign>[./-])\d{1,2}(?P=sign)\d{4}", ("%d{0}%m{0}%Y", "%m{0}%d{0}%Y")),
    (r"\d{1,2}(?P<sign>[./-])\d{1,2}(?P=sign)\d{2}", ("%d{0}%m{0}%y", "%m{0}%d{0}%y", "%y{0}%m{0}%d")),
    (r"\d{1,2}(?P<sign>[ -])[A-Za-z]+(?P=sign)\d{4}", ("%d{0}%b{0}%Y", "%d{0}%B{0}%Y")),
    (r"\d{1,2}(?P<sign>[ -])[A-Za-z]+(?P=sign)\d{2}", ("%d{0}%b{0}%y", "%d{0}%B{0}%y")),
    (r"[A-Za-z]+ \d{1,2}(?P<sign>,?) \d{4}", ("%b %d{0} %Y", "%B %d{0} %Y")),
    (r"(?P<sign>)(19|20)\d{6}", ("%Y%m%d",)),
    (r"(?P<sign>)(19|20)\d{12}", ("%Y%m%d%H%M%S",)),
)


def date_formats(value: str) -> list[str]:
    """The formats that read a date or time: several where day and month could change places, none for anything else.

    >>> date_formats("31.12.2025"), date_formats("1/2/2025 10:30"), date_formats("soon")
    (['%d.%m.%Y'], ['%d/%m/%Y %H:%M', '%m/%d/%Y %H:%M'], [])
    """
    value = value.strip()
    time = _TIME.search(value)
    if time and time.end() < len(value):
        return []
    day, clock = (value, "") if time is None else (value[: time.start()], _clock(time))
    formats = (f"{each}{clock}" for each in _of_days(day))
    return [each for each in formats if _reads(value, each)]


def _of_days(day: str) -> Iterator[str]:
    for pattern, formats in _DAYS:
        if match := re.fullmatch(pattern, day):
            yield from (each.format(match["sign"]) for each in formats)


def _clock(time: re.Match[str]) -> str:
    hour = "%I" if time["half"] else "%H"
    half = time["half"].replace(time["half"].strip(), "%p") if time["half"] else ""
    return f"{time['gap']}{hour}:%M{':%S' if time['seconds'] else ''}{'.%f' if time['fraction'] else ''}{half}"


def _reads(value: str, form: str) -> bool:
    try:
        datetime.strptime(value, form)  # noqa: DTZ007 - only whether it can be read
    except ValueError:
        return False
    return True
