"""Retention: rows of the event store that the graph has taken, and that are old, are deleted in batches."""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager

from sqlalchemy import Connection, Table, delete, select

from ml_assets.events.rows import Kind
from ml_assets.events.schema import EVENTS, EXPORTED

Begin = Callable[[], AbstractContextManager[Connection]]


def delete_old(begin: Begin, kind: Kind, model: str, before: int, spared: Collection[str], batch: int) -> int:
    """Delete rows of a kind in their order, up to the first that is younger; return how many went.

    They are looked for without a lock, because rows of other models may lie between.

    Args:
        begin: begins a transaction of the store.
        kind: of the rows.
        model: the model's folder; rows of others stay.
        before: microseconds since 1970, UTC.
        spared: names of experiments whose rows stay.
        batch: rows a transaction.
    """
    table, deleted, last = EVENTS[kind].table, 0, 0
    end = _end(begin, table, model, before, EVENTS[kind].aged_by)
    old = select(table.c.sequence).where(table.c.model == model, table.c.sequence <= end)
    if spared and "experiment" in table.c:
        old = old.where(table.c.experiment.not_in(spared))
    while last < end:
        with begin() as connection:
            some = old.where(table.c.sequence > last).order_by(table.c.sequence).limit(batch)
            numbers = [*connection.execute(some).scalars()]
        with begin() as connection:
            deleted += connection.execute(delete(table).where(table.c.sequence.in_(numbers))).rowcount
        last = numbers[-1] if len(numbers) == batch else end
    return deleted


def exported_mark(connection: Connection, table: Table, model: str) -> int:
    """The sequence up to which the graph has a model's rows for good; 0: it has said nothing yet."""
    query = select(EXPORTED.c.sequence).where(EXPORTED.c.name == table.name, EXPORTED.c.model == model)
    return int(connection.execute(query).scalar() or 0)


def _end(begin: Begin, table: Table, model: str, before: int, age: str) -> int:
    """The last sequence that may go."""
    with begin() as connection:
        exported = exported_mark(connection, table, model)
        mine = select(table.c.sequence).where(table.c.model == model, table.c.sequence <= exported)
        young = mine.where(table.c[age] >= before).order_by(table.c.sequence).limit(1)
        first = connection.execute(young).scalar()
    return exported if first is None else int(first) - 1
