"""Counts of the traffic between variants: each unit once, in the order in which the rows were committed.

The clock of a server decides nothing here. A unit belongs to the stage of its first row, and later rows of it change no
count: the unit that is assigned is the unit that is counted. So rows that were counted need not be looked at again: a
tally says up to which row of each table it goes, and the next one adds what came since.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, case, exists, func, select

from ml_assets.events.exposures import Exposure, ShadowAnswer, VariantFailure
from ml_assets.events.rows import Kind, Prediction
from ml_assets.events.schema import EVENTS
from ml_assets.events.store import EventStore

_Sums = Sequence[tuple[Any, ...]]


@dataclass(frozen=True)
class TrafficCounts:
    """The units of a stage of a rollout, or of an experiment.

    Args:
        experiment: under which name its rows are recorded.
        first: variant → units whose first exposure this was, of all names that were asked for.
        exposed: variant → units that it answered under this name.
        failures: reason → variant → units whose first failure for the reason this was.
        repeated: units that two variants answered under this name.
        shadowed: units that another variant answered too, unseen.
        disagreeing: those of them for which it decided differently, or failed.
        last: when the last unit was exposed, microseconds since 1970, UTC; None: none was.
    """

    experiment: str
    first: Mapping[str, int] = field(default_factory=dict)
    exposed: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    repeated: int = 0
    shadowed: int = 0
    disagreeing: int = 0
    last: int | None = None


@dataclass(frozen=True)
class TrafficTally:
    """Counts, and how far they go.

    Args:
        counts: of each name, in their order.
        until: table of the event store → the number of the last row that was looked at.
    """

    counts: tuple[TrafficCounts, ...] = ()
    until: Mapping[str, int] = field(default_factory=dict)


def count_traffic(store: EventStore, model: str, experiments: Sequence[str]) -> tuple[TrafficCounts, ...]:
    """What was recorded under some names that belong together, such as the stages of a rollout, in their order.

    Args:
        store: where servers write.
        model: the model's folder.
        experiments: the names.

    Raises:
        EventStoreError: the database does not answer.
    """
    return tally_traffic(store, model, experiments).counts


def tally_traffic(
    store: EventStore, model: str, experiments: Sequence[str], before: TrafficTally | None = None
) -> TrafficTally:
    """Count what was recorded under some names that belong together; of what was counted before, only what came since.

    Args:
        store: where servers write.
        model: the model's folder.
        experiments: the names.
        before: a tally of the same store and of the first of these names; None: every row is looked at.

    Raises:
        EventStoreError: the database does not answer.
    """
    tables = {kind: EVENTS[kind].table for kind in _NEWS}
    until = {table.name: store.last(kind) for kind, table in tables.items()}
    if before is None or any(until[name] < number for name, number in before.until.items()):
        before = TrafficTally()  # a store that was put back from a copy gives its numbers again
    rows = {
        kind: store.select(
            _NEWS[kind](_NewRows(table, model, experiments, before.until.get(table.name, 0), until[table.name]))
        )
        for kind, table in tables.items()
    }
    known = {each.experiment: each for each in before.counts}
    counts = [
        _add(known.get(name, TrafficCounts(name)), *(_of(name, rows[kind]) for kind in _NEWS)) for name in experiments
    ]
    return TrafficTally(tuple(counts), until)


def last_answer(store: EventStore, model: str) -> int:
    """The number of a model's last answer in the event store: it grows while somebody asks; 0 before the first.

    Raises:
        EventStoreError: the database does not answer.
    """
    table = EVENTS[Prediction].table
    own = select(table.c.sequence).where(table.c.model == model).order_by(table.c.sequence.desc()).limit(1)
    rows = store.select(own)
    return int(rows[0][0]) if rows else 0


class _NewRows:
    """Rows that are counted now, beside all that were before each of them.

    Args:
        table: of the rows.
        model: the model's folder.
        experiments: the names that are counted together.
        after: the number of the last row that was counted before.
        until: of the last one that is counted now.
    """

    def __init__(self, table: Table, model: str, experiments: Sequence[str], after: int, until: int) -> None:
        self.new = table.alias("new").c
        self._earlier = table.alias("earlier").c
        self._experiments = experiments
        # With nothing added, no index of names is of use: it knows no order, so all rows of a name would be read.
        self._mine = (self.new.model.concat("") == model) & self.new.experiment.concat("").in_(experiments)
        self._window = (self.new.sequence > after) & (self.new.sequence <= until)

    def is_first(self, *same: str) -> ColumnElement[bool]:
        """Whether a unit had no row before under any of the names, with the same values of some columns."""
        return ~exists().where(self._earlier.experiment.in_(self._experiments), *self._before(*same))

    def is_second(self) -> ColumnElement[bool]:
        """Whether a unit had one row before under the same name."""
        return select(func.count()).where(*self._before("experiment")).scalar_subquery() == 1

    def sums(self, by: Sequence[str], *columns: ColumnElement[Any]) -> Select[Any]:
        """What comes of the new rows, by the name and some columns."""
        groups = [self.new.experiment, *(self.new[name] for name in by)]
        return select(*groups, *columns).where(self._mine, self._window).group_by(*groups)

    def _before(self, *same: str) -> list[ColumnElement[bool]]:
        equal = [self._earlier[name] == self.new[name] for name in ("model", "entity", *same)]
        return [*equal, self._earlier.sequence < self.new.sequence]


def _sum_if(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((and_(*conditions), 1), else_=0))


def _select_exposures(rows: _NewRows) -> Select[Any]:
    new = rows.new
    sums = (func.count(), _sum_if(rows.is_first()), _sum_if(rows.is_second()), func.max(new.exposed_at))
    return rows.sums(("variant",), *sums)


def _select_failures(rows: _NewRows) -> Select[Any]:
    return rows.sums(("reason", "variant"), _sum_if(rows.is_first("reason")))


def _select_shadows(rows: _NewRows) -> Select[Any]:
    first = rows.is_first()
    return rows.sums((), _sum_if(first), _sum_if(first, rows.new.agrees == 0))


_NEWS: Mapping[Kind, Callable[[_NewRows], Select[Any]]] = {
    Exposure: _select_exposures,
    VariantFailure: _select_failures,
    ShadowAnswer: _select_shadows,
}


def _of(name: str, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [row[1:] for row in rows if row[0] == name]


def _add(before: TrafficCounts, exposures: _Sums, failures: _Sums, shadows: _Sums) -> TrafficCounts:
    """The counts of a name, with those of its new rows."""
    failed = {reason: Counter(units) for reason, units in before.failures.items()}
    for reason, variant, units in failures:
        failed.setdefault(reason, Counter())[variant] += int(units)
    last = [before.last, *(at for *_, at in exposures)]
    return TrafficCounts(
        before.experiment,
        _more(before.first, {variant: first for variant, _, first, *_ in exposures}),
        _more(before.exposed, {variant: units for variant, units, *_ in exposures}),
        {reason: dict(+units) for reason, units in failed.items() if +units},
        before.repeated + sum(int(second) for *_, second, _ in exposures),
        before.shadowed + sum(int(units) for units, _ in shadows),
        before.disagreeing + sum(int(units) for _, units in shadows),
        max((int(at) for at in last if at is not None), default=None),
    )


def _more(before: Mapping[str, int], units: Mapping[str, int]) -> dict[str, int]:
    return dict(+(Counter(before) + Counter({name: int(count) for name, count in units.items()})))
