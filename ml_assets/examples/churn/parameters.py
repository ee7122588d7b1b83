from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import Any, Literal, Self, get_args

from ml_assets.errors import DataError

Drift = Literal["none", "covariate", "concept"]


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A subscription business with known ground truth; the same parameters give the same rows, byte for byte.

    Args:
        end: an as-of date (a Sunday): every row is strictly before its midnight UTC.
        customers: how many there are at the start; each week about 1.2 % as many sign up and replace
            those who leave.
        months: how far the history reaches back from `end`, to the Sunday at or before.
        seed: of all random numbers.
        drift: `covariate` moves the distributions (three times the sign-ups, other channels and countries, longer
            sessions that use more of the product), keeps the churn law; `concept` changes how plan and behaviour
            relate to churn.
        drift_from: the first week that begins on or after this date drifts.
        dirty: how many rows that break expectations are added, as a share of the clean rows.
        since: the first Sunday of the history, in place of `months`; it stays when a history gets longer.

    Raises:
        DataError: for parameters that describe no history.
    """

    end: date
    customers: int = 3000
    months: int = 24
    seed: int = 0
    drift: Drift = "none"
    drift_from: date | None = None
    dirty: float = 0.001
    since: date | None = None

    def __post_init__(self) -> None:
        _sunday("end", self.end)
        if self.since:
            _sunday("since", self.since)
        _within("customers", self.customers, 1, 10_000_000)
        _within("months", self.months, 1, 1200)
        _within("seed", self.seed, 0, 2**63)
        _within("dirty", self.dirty, 0, 1)
        if self.drift not in get_args(Drift):
            raise DataError(f"drift {self.drift!r} is unknown: choose one of {', '.join(get_args(Drift))}")
        if self.drift != "none" and not self.drift_from:
            raise DataError(f"drift {self.drift} has no beginning: give drift_from, a date within the history")
        if self.start >= self.end:
            raise DataError(f"since {self.start} is not before end {self.end}: choose an earlier one")

    @property
    def start(self) -> date:
        """The first Sunday of the history."""
        if self.since:
            return self.since
        month = self.end.year * 12 + self.end.month - 1 - self.months
        back = date(month // 12, month % 12 + 1, min(self.end.day, 28))
        return back - timedelta(days=back.isoweekday() % 7)

    @property
    def weeks(self) -> int:
        """The number of weeks from `start` to `end`."""
        return (self.end - self.start).days // 7

    def week(self, as_of: date) -> int:
        """The number of the week that begins at an as-of date; `start` is 0.

        Raises:
            DataError: the date is no Sunday of this history or of what follows it.
        """
        _sunday("as-of date", as_of)
        if as_of < self.start:
            raise DataError(f"as-of date {as_of} is before the history, which starts at {self.start}")
        return (as_of - self.start).days // 7

    def drifts(self, number: int, kind: Drift) -> bool:
        """Whether week `number` is under this kind of drift."""
        begins = self.start + timedelta(weeks=number)
        return self.drift == kind and self.drift_from is not None and begins >= self.drift_from

    def until(self, end: date) -> Self:
        """The same history with another end."""
        return replace(self, end=end, since=self.start)

    def identity(self) -> dict[str, Any]:
        """What the rows depend on: two simulations with an equal `identity()` write the same files.

        A drift that begins after the end has not happened yet and is left out.
        """
        ahead = self.drift_from is None or self.drift_from > self.end - timedelta(weeks=1)
        plain = replace(self, drift="none", drift_from=None) if self.drift == "none" or ahead else self
        values = asdict(replace(plain, since=self.start))
        del values["months"]  # `since` says it already
        return {key: value.isoformat() if isinstance(value, date) else value for key, value in values.items()}


def _sunday(name: str, day: date) -> None:
    if day.isoweekday() != 7:
        near = day - timedelta(days=day.isoweekday())
        raise DataError(
            f"{name} {day} is no Sunday: the one before is {near}, the one after {near + timedelta(days=7)}"
        )


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise DataError(f"{name} {value} is out of range: choose {low} to {high}")
