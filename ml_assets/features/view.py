"""Feature views: what a folder declares, and what the engine computes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property

from ml_assets.features.query import FeatureQuery
from ml_assets.ingest.keyed import Keyed
from ml_assets.spec.label_values import LabelValues
from ml_assets.storage.timestamps import shift

# Raised when the engine computes something else from the same query and rows: all views are then computed anew.
ENGINE = 2


@dataclass(frozen=True)
class Relation:
    """A source as a query sees it: a raw table and the columns that say when a row happened and was known.

    A `key` are the columns by which a later row replaces an earlier one.
    """

    name: str
    table: str
    event_time: str
    known_at: str | None = None
    key: tuple[str, ...] = field(default=(), repr=False)

    @property
    def keyed(self) -> Keyed:
        """What the corrections of its rows depend on."""
        return Keyed(self.table, self.event_time, self.known_at, self.key)


@dataclass(frozen=True)
class View:
    """A pure function of an as-of date `T`: a query over rows with `event_time` in a window around `T`.

    A feature view sees `[T - lookback, T)`, a label `[T - lookback, T + horizon)`; in both a row counts only if it was
    known before the end of the window.

    Args:
        table: its asset key, such as `churn/features/purchases`.
        query: the checked query.
        entity: the column that identifies what is scored; unique in each result.
        relations: the sources that the query reads.
        views: other views, by the name under which the query reads them at the same `T`.
        lookback: how far back it sees; None = all history, for a label not at all.
        horizon: how far ahead a label sees; None = a feature view.
        outcome: how the values of a label are read; None = a feature view, or a population.
    """

    table: str
    query: FeatureQuery
    entity: str
    relations: tuple[Relation, ...]
    views: tuple[tuple[str, "View"], ...] = ()
    lookback: timedelta | None = None
    horizon: timedelta | None = None
    outcome: LabelValues | None = None

    def window(self, as_of: date) -> tuple[datetime | None, datetime]:
        """The event times that the query sees at `as_of`: from (inclusive, None = unbounded), to (exclusive)."""
        midnight = datetime.combine(as_of, time())
        if self.horizon is not None:
            return shift(midnight, -(self.lookback or timedelta(0))), shift(midnight, self.horizon)
        return (None if self.lookback is None else shift(midnight, -self.lookback)), midnight

    @cached_property
    def recipe(self) -> str:
        """Everything but the rows that decides a result, as a hash."""
        upstream = [(name, view.recipe) for name, view in self.views]
        parts = (
            ENGINE,
            self.query.meaning,
            self.entity,
            self.relations,
            self.lookback,
            self.horizon,
            upstream,
            self.outcome,
            *(relation.key for relation in self.relations if relation.key),  # a source without one is as it was
        )
        return hashlib.blake2b(repr(parts).encode(), digest_size=6).hexdigest()

    @property
    def kept(self) -> str:
        """The lake table of its rows: one for each recipe, so another query never meets the columns of this one."""
        return f"{self.table}/{self.recipe}"


@dataclass(frozen=True)
class TimedView:
    """A view, how long its values may be used after their as-of date, and how often online ones are refreshed.

    `refresh` is None where each as-of date is often enough. It decides no value, and so no feature set.
    """

    view: View
    ttl: timedelta
    refresh: timedelta | None = None

    @property
    def name(self) -> str:
        """The view's name in its folder."""
        return self.view.table.rpartition("/")[2]


def feature_set(folder: str, used: Sequence[TimedView]) -> str:
    """Under which name the online records of a model are kept: `churn@1a2b…`, one for each set of queries and TTLs.

    So a version with other queries finds records of its own, and those of the version before stay as they are.
    """
    parts = [(item.view.table, item.view.recipe, item.ttl) for item in used]
    return f"{folder}@{hashlib.blake2b(repr(parts).encode(), digest_size=6).hexdigest()}"
