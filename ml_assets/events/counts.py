"""Counts of the traffic between variants: each unit once, in the order in which the rows were committed.

The clock of a server decides nothing here. A unit belongs to the stage of its first row, and later rows of it change no
count: the unit that is assigned is the unit that is counted.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, Table, distinct, func, select

from ml_assets.events.exposures import Exposure, ShadowAnswer, VariantFailure
from ml_assets.events.rows import Prediction
from ml_assets.events.schema import EVENTS
from ml_assets.events.store import EventStore

_EXPOSURES, _FAILURES, _SHADOWS = (EVENTS[kind].table for kind in (Exposure, VariantFailure, ShadowAnswer))


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


def count_traffic(store: EventStore, model: str, experiments: Sequence[str]) -> tuple[TrafficCounts, ...]:
    """What was recorded under some names that belong together, such as the stages of a rollout, in their order.

    Args:
        store: where servers write.
        model: the model's folder.
        experiments: the names.

    Raises:
        EventStoreError: the database does not answer.
    """
    first = _grouped(store.select(_count_first(_EXPOSURES, model, experiments, ())))
    exposed = _grouped(store.select(_count_exposed(model, experiments)))
    failed = _by_reason(store.select(_count_first(_FAILURES, model, experiments, ("reason",))))
    repeated = dict(store.select(_count_repeated(model, experiments)))
    shadows = {name: (units, agreeing) for name, units, agreeing in store.select(_count_shadows(model, experiments))}
    last = dict(store.select(_find_last(model, experiments)))
    return tuple(
        TrafficCounts(
            name, first.get(name, {}), exposed.get(name, {}), failed.get(name, {}), repeated.get(name, 0),
            shadows.get(name, (0, 0))[0], _disagreeing(shadows.get(name)), last.get(name),
        )
        for name in experiments
    )  # fmt: skip


def last_answer(store: EventStore, model: str) -> int:
    """The number of a model's last answer in the event store: it grows while somebody asks; 0 before the first.

    Raises:
        EventStoreError: the database does not answer.
    """
    table = EVENTS[Prediction].table
    own = select(table.c.sequence).where(table.c.model == model).order_by(table.c.sequence.desc()).limit(1)
    rows = store.select(own)
    return int(rows[0][0]) if rows else 0


def _disagreeing(shadows: tuple[int, int] | None) -> int:
    return 0 if shadows is None else int(shadows[0]) - int(shadows[1])


def _of(table: FromClause, model: str, experiments: Sequence[str]) -> ColumnElement[bool]:
    return (table.c.model == model) & table.c.experiment.in_(experiments)


def _count_first(table: Table, model: str, experiments: Sequence[str], by: tuple[str, ...]) -> Select[Any]:
    """Units by the name and the variant of their first row; one for each value of `by`."""
    keys = [table.c.entity, *(table.c[name] for name in by)]
    first = select(func.min(table.c.sequence).label("sequence")).where(_of(table, model, experiments)).group_by(*keys)
    found = first.subquery()
    columns = [table.c.experiment, *(table.c[name] for name in by), table.c.variant]
    joined = select(*columns, func.count()).join(found, table.c.sequence == found.c.sequence)
    return joined.group_by(*columns)


def _count_exposed(model: str, experiments: Sequence[str]) -> Select[Any]:
    columns = (_EXPOSURES.c.experiment, _EXPOSURES.c.variant)
    return select(*columns, func.count()).where(_of(_EXPOSURES, model, experiments)).group_by(*columns)


def _count_repeated(model: str, experiments: Sequence[str]) -> Select[Any]:
    unit = (_EXPOSURES.c.experiment, _EXPOSURES.c.entity)
    several = select(*unit).where(_of(_EXPOSURES, model, experiments)).group_by(*unit).having(func.count() > 1)
    units = several.subquery()
    return select(units.c.experiment, func.count()).group_by(units.c.experiment)


def _count_shadows(model: str, experiments: Sequence[str]) -> Select[Any]:
    """Shadowed units, and those for which the decisions agree: a unit counts where it was shadowed first."""
    mine = select(_SHADOWS.c.sequence).where(_of(_SHADOWS, model, experiments))
    first = mine.with_only_columns(func.min(_SHADOWS.c.sequence).label("sequence")).group_by(_SHADOWS.c.entity)
    found = first.subquery()
    sums = (func.count(distinct(_SHADOWS.c.entity)), func.sum(_SHADOWS.c.agrees))
    joined = select(_SHADOWS.c.experiment, *sums).join(found, _SHADOWS.c.sequence == found.c.sequence)
    return joined.group_by(_SHADOWS.c.experiment)


def _find_last(model: str, experiments: Sequence[str]) -> Select[Any]:
    name = _EXPOSURES.c.experiment
    return select(name, func.max(_EXPOSURES.c.exposed_at)).where(_of(_EXPOSURES, model, experiments)).group_by(name)


def _grouped(rows: Iterable[tuple[Any, ...]]) -> dict[str, dict[str, int]]:
    groups: dict[str, dict[str, int]] = defaultdict(dict)
    for name, variant, units in rows:
        groups[name][variant] = int(units)
    return groups


def _by_reason(rows: Iterable[tuple[Any, ...]]) -> dict[str, dict[str, dict[str, int]]]:
    groups: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for name, reason, variant, units in rows:
        groups[name][reason][variant] = int(units)
    return groups
