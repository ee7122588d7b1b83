"""Moments near the ends of the calendar: years 1 to 9999, as Python and Delta's log write them."""

from datetime import UTC, datetime, timedelta

FIRST = datetime.min  # noqa: DTZ901 - naive UTC
LAST = datetime.max  # noqa: DTZ901 - naive UTC
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive UTC


def shift(moment: datetime, by: timedelta) -> datetime:
    """`moment` moved by `by`, and no further than the calendar goes.

    >>> shift(datetime(9999, 12, 1), timedelta(days=90)).year
    9999
    """
    try:
        return moment + by
    except OverflowError:
        return LAST if by > timedelta(0) else FIRST


def microseconds(moment: datetime) -> int:
    """Since 1970, as a column of times holds it; `moment` is naive UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(since: int) -> datetime:
    """The other way round."""
    return _EPOCH + timedelta(microseconds=since)


def clock() -> datetime:
    """Now, in naive UTC as the lake keeps times: for who has no clock of its own to ask."""
    return datetime.now(UTC).replace(tzinfo=None)
