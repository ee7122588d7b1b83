"""The grid of as-of dates: plain dates in, plain dates out, no clock."""

from calendar import monthrange
from datetime import date, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from ml_assets.errors import DataError, DeclarationError
from ml_assets.spec.base import Declaration

if TYPE_CHECKING:
    from collections.abc import Iterator

_DAYS = {"daily": 1, "weekly": 7}


def last_sunday(today: date) -> date:
    """The last Sunday that `today` has reached: the last as-of date of a weekly cadence on Sundays.

    >>> last_sunday(date(2026, 12, 1)), last_sunday(date(2026, 11, 29))
    (datetime.date(2026, 11, 29), datetime.date(2026, 11, 29))
    """
    return today - timedelta(days=today.isoweekday() % 7)


def parse_date(text: str, option: str = "") -> date:
    """A date that somebody typed.

    Args:
        text: `2026-03-01`.
        option: what it is the value of, as it is typed: `--as-of`.

    Raises:
        DataError: it is not an ISO date.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"{option} {text!r} is not a date: write it like 2026-03-01".lstrip()) from error


class Cadence(Declaration):
    """As-of dates: midnight UTC of `start` and every day, week or month from there, up to `end`."""

    every: Literal["daily", "weekly", "monthly"] = Field("weekly", description="The step between as-of dates")
    start: date = Field(description="The first as-of date; weekly dates keep its weekday, monthly its day")
    end: date | None = Field(None, description="The last as-of date of a closed history")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.every == "monthly" and self.start.day > 28:
            raise ValueError(f"start {self.start}: a monthly cadence starts on a day from 1 to 28")
        if self.end and self.end < self.start:
            raise ValueError(f"end {self.end} is before start {self.start}")
        return self

    @property
    def cron(self) -> str:
        """The cron line of midnight at each as-of date."""
        weekday = self.start.isoweekday() % 7
        return {"daily": "0 0 * * *", "weekly": f"0 0 * * {weekday}", "monthly": f"0 0 {self.start.day} * *"}[
            self.every
        ]

    def dates(self, until: date) -> list[date]:
        """All as-of dates from `start` up to and including `until`, in order."""
        last = min(until, self.end or until)
        return list(takewhile(lambda day: day <= last, self._walk()))

    def latest(self, today: date) -> date:
        """The last as-of date that `today` has reached.

        Raises:
            DeclarationError: `today` is before the first one.
        """
        dates = self.dates(today)
        if not dates:
            raise DeclarationError(f"cadence starts at {self.start}, after {today}: choose an earlier start")
        return dates[-1]

    def require(self, as_of: date, today: date | None = None) -> date:
        """`as_of` itself, if it is on the grid and `today` has reached it.

        Raises:
            DeclarationError: it is not; the message names the dates around it, the nearest first.
        """
        if today is not None and as_of > max(today, self.start):
            raise DeclarationError(
                f"{as_of} is in the future: the last as-of date until {today} is {self.latest(today)}"
            )
        reached = self.latest(max(as_of, self.start))
        if reached != as_of:
            # Two of them: a run at the nearest is no use where today has not reached it.
            around = sorted(self.dates(self.step(reached))[-2:], key=lambda day: abs(day - as_of))
            near = ", then ".join(str(day) for day in around if today is None or day <= today)
            raise DeclarationError(
                f"{as_of} is not an as-of date of a {self.every} cadence from {self.start}: the nearest is {near}"
            )
        return as_of

    def step(self, day: date) -> date:
        """The as-of date after `day`."""
        if self.every != "monthly":
            return day + timedelta(days=_DAYS[self.every])
        return day + timedelta(days=monthrange(day.year, day.month)[1])

    def _walk(self) -> "Iterator[date]":
        day = self.start
        while True:
            yield day
            try:
                day = self.step(day)
            except OverflowError:  # the calendar ends
                return
