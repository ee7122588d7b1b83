"""Filters and boosts of a search, and the SQL that they become."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import MappingProxyType

from ml_assets.errors import MlAssetsError
from ml_assets.search.index_schema import AMOUNTS, DATES, Ranged, fold_text, sql_day, sql_text
from ml_assets.search.results import DEPTH


class QueryError(MlAssetsError):
    """A search cannot be answered as it was asked; the message names the field, its value and what would be right."""


@dataclass(frozen=True)
class Filters:
    """What a document must be; all that is given must hold. Ranges include both ends.

    Args:
        labels: one of these predicted classes.
        kinds: one of these file types, e.g. "pdf".
        party: is part of a party's name, whatever the case, accents and spacing.
        date_from: with `date_to`: the text mentions a date in this range.
        date_to: see `date_from`.
        received_from: the document arrived then or later; in UTC, without a time zone.
        received_to: the document arrived then or before.
        amount_from: with `amount_to`: the text states an amount in this range.
        amount_to: see `amount_from`.

    Raises:
        QueryError: a range that nothing can be in, an empty party, a time with a time zone, a number that is not one.
    """

    labels: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    party: str | None = None
    date_from: date | None = None
    date_to: date | None = None
    received_from: datetime | None = None
    received_to: datetime | None = None
    amount_from: float | None = None
    amount_to: float | None = None

    def __post_init__(self) -> None:
        for name in ("date", "received", "amount"):
            low, high = getattr(self, f"{name}_from"), getattr(self, f"{name}_to")
            for end, value in ((f"{name}_from", low), (f"{name}_to", high)):
                _require_value(end, value)
            if low is not None and high is not None and low > high:
                raise QueryError(f"{name}_from {low} is after {name}_to {high}: swap them")
        if self.party is not None and not fold_text(self.party):
            raise QueryError(f"party {self.party!r} is empty: name a part of a party, or leave it out")

    def sql(self, longest: Mapping[str, int] = MappingProxyType({})) -> str | None:
        """The condition; None where everything is allowed.

        Args:
            longest: by column of a list, the most values that a document has; columns beyond are not looked into.
        """
        return " AND ".join(f"({condition})" for condition in self._conditions(longest)) or None

    def _conditions(self, longest: Mapping[str, int]) -> Iterator[str]:
        for column, values in (("label", self.labels), ("kind", self.kinds)):
            if values:
                yield f"{column} IN ({', '.join(map(sql_text, values))})"
        if self.party is not None:
            yield f"contains(party_text, {sql_text(fold_text(self.party))})"
        if self.received_from is not None:
            yield f"received_at >= timestamp '{self.received_from.isoformat(' ')}'"
        if self.received_to is not None:
            yield f"received_at <= timestamp '{self.received_to.isoformat(' ')}'"
        days = [None if day is None else sql_day(day) for day in (self.date_from, self.date_to)]
        sums = [
            None if sum_ is None else f"CAST({float(sum_)!r} AS DOUBLE)" for sum_ in (self.amount_from, self.amount_to)
        ]
        yield from _any(DATES, days[0], days[1], longest.get(DATES.column))
        yield from _any(AMOUNTS, sums[0], sums[1], longest.get(AMOUNTS.column))


@dataclass(frozen=True)
class Signals:
    """What else may lift a document: small boosts, added to a score that is at most 1. Off unless weights are given.

    Args:
        priorities: how much each predicted class matters, 0 to 1; a class that is not named counts 0.
        priority: the weight of that.
        recency: the weight of 2^(-age / half_life).
        half_life: the age at which a document counts half.
        as_of: what age is counted from; by default the arrival of the newest document.
    """

    priorities: Mapping[str, float] = field(default_factory=dict)
    priority: float = 0.0
    recency: float = 0.0
    half_life: timedelta = timedelta(days=365)
    as_of: datetime | None = None

    def __post_init__(self) -> None:
        for name, value in (("priority", self.priority), ("recency", self.recency), *self.priorities.items()):
            if not 0 <= value <= 1:
                raise QueryError(f"signal {name} is {value}: choose a number from 0 to 1")
        if self.half_life <= timedelta():
            raise QueryError(f"half_life is {self.half_life}: choose a time above zero")

    def boost(self, label: str | None, received_at: datetime | None, newest: datetime | None) -> float:
        """What is added to the score of a document."""
        lift = self.priority * self.priorities.get(label or "", 0.0)
        since = self.as_of or newest
        if received_at is not None and since is not None:
            lift += self.recency * 2 ** (-max(0.0, (since - received_at) / self.half_life))
        return lift


def require_page(limit: int, offset: int, *, ranked: bool) -> None:
    """Check what a page asks for; a ranking is `DEPTH` long, a list has no end.

    Raises:
        QueryError: an impossible page.
    """
    if limit < 1 or (ranked and limit > DEPTH):
        raise QueryError(f"limit is {limit}: choose 1 to {DEPTH}")
    if offset < 0:
        raise QueryError(f"offset is {offset}: choose 0 or more")
    if ranked and offset + limit > DEPTH:
        raise QueryError(
            f"offset {offset} with limit {limit} is beyond the {DEPTH} best documents, which are all that are ranked: "
            "add words or filters"
        )


_RIGHT: dict[str, tuple[str, Callable[[object], bool]]] = {
    "date": ("a date", lambda value: isinstance(value, date) and not isinstance(value, datetime)),
    "received": (
        "a datetime in UTC, without a time zone",
        lambda value: isinstance(value, datetime) and not value.tzinfo,
    ),
    "amount": ("a finite number", lambda value: isinstance(value, int | float) and math.isfinite(value)),
}


def _require_value(name: str, value: object) -> None:
    what, right = _RIGHT[name.partition("_")[0]]
    if value is not None and not right(value):
        raise QueryError(f"{name} is {value!r}: pass {what}, or leave it out")


def _any(values: Ranged, low: str | None, high: str | None, longest: int | None) -> Iterator[str]:
    """Whether any value of a list lies in the range; with one end open its smallest or largest value says it all."""
    if low is not None and high is None:
        yield f"{values.high} >= {low}"
    if high is not None and low is None:
        yield f"{values.low} <= {high}"
    if low is not None and high is not None:
        own = (f"({name} >= {low} AND {name} <= {high})" for name in values.places[:longest])
        rest = (
            [f"({values.more} AND {_next(values.column, low)} <= {high})"]
            if longest is None or longest > values.first
            else []
        )
        yield " OR ".join([*own, *rest]) or "false"


def _next(column: str, low: str) -> str:
    """The smallest value of a list that is at least `low`: Lance has no lambdas, so it is sorted in and looked up."""
    inside = f"array_sort(array_append({column}, {low}))"
    return f"array_element({inside}, CAST(array_position({inside}, {low}) + 1 AS BIGINT))"
