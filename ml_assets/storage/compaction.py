"""Which files of a table are written anew as one: those of a day that is over, then those of a month that is over.

Each row is so written anew twice, whatever the traffic, and a table holds the files of two days, a file for each day of
two months, and one for each month before. Rows keep their order, so a sum of floats over them keeps its digits:
deltalake's own `optimize.compact` does not keep it.
"""

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from typing import NamedTuple

MOST = 64
"""Files of a table that are left as they are."""

LARGEST = 128 << 20
"""Bytes of a file that is written."""

TOGETHER = 1_000
"""Files that are read for one that is written, at most: with `LARGEST` what bounds the work of a call."""

KEPT = timedelta(days=2)
"""How long what was replaced stays for those who read it, where nothing names a version of the table."""

_DAY = 86_400_000  # milliseconds
_MONTH = 32  # days


class TableFile(NamedTuple):
    """A file of a table.

    Args:
        path: as the log has it.
        size: bytes.
        at: milliseconds since 1970, by which files are ordered.
    """

    path: str
    size: int
    at: int


def files_to_gather(files: Sequence[TableFile], now: int, *, most: int = MOST) -> list[TableFile]:
    """Consecutive files to write anew as one, the oldest first; none where there is nothing to gain.

    Args:
        files: of a version, in their order.
        now: milliseconds since 1970.
        most: so many files are left as they are.
    """
    if len(files) <= most:
        return []
    for period, same in groupby(files, lambda file: _period(file.at, now)):
        if period is not None:
            group = _first([*same])
            if len(group) > 1:
                return group
    return []


def _period(at: int, now: int) -> tuple[str, int] | None:
    """The month or the day of a file, once it has been over for a day."""
    day, today = at // _DAY, now // _DAY
    month = day // _MONTH
    if (month + 1) * _MONTH < today:
        return "month", month
    return ("day", day) if day + 1 < today else None


def _first(files: list[TableFile]) -> list[TableFile]:
    """The first files of a period that fit into one. Those of one moment stay together: their order is by name."""
    together: list[TableFile] = []
    for _, same in groupby(files, lambda file: file.at):
        moment = [*same]
        size = sum(file.size for file in (*together, *moment))
        if together and (size > LARGEST or len(together) + len(moment) > TOGETHER):
            if len(together) > 1:
                break
            together = []
        together += moment
    return together
