"""Dagster's SQLite event log, on one engine. `dagster.yaml` names it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from sqlite3 import Connection as Sqlite

import dagster as dg
from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage
from dagster._serdes import deserialize_value, serialize_value
from sqlalchemy import Connection, Engine, NullPool, create_engine, event

from ml_assets.redaction import redacted_json

_PATIENCE = 60  # seconds until a database that another process writes counts as locked


class EventLog(ConsolidatedSqliteEventLogStorage):
    """All runs in one file; its statements are compiled once.

    Dagster makes an engine for each statement (1.13), and so compiles every one anew: with 150 events a run that is a
    third of what the log costs. Drop this class when it keeps its engine.
    """

    @cached_property
    def _engine(self) -> Engine:
        engine = create_engine(self._conn_string, poolclass=NullPool, connect_args={"timeout": _PATIENCE})
        event.listen(engine, "connect", _relax)
        return engine

    @cached_property
    def _held(self) -> threading.local:
        return threading.local()

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store an event without secrets of URLs, and what follows, in one transaction; Dagster takes five."""
        event = _shown(event)
        with self._engine.begin() as connection:
            self._held.connection = connection
            try:
                super().store_event(event)
            finally:
                self._held.connection = None

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        held: Connection | None = getattr(self._held, "connection", None)
        if held is not None:
            yield held
            return
        with self._engine.begin() as connection:
            yield connection


def _shown(event: dg.EventLogEntry) -> dg.EventLogEntry:
    """The event without what its messages and errors quote of URLs."""
    serialized = serialize_value(event)
    redacted = redacted_json(serialized)
    return event if redacted == serialized else deserialize_value(redacted, dg.EventLogEntry)


def _relax(connection: Sqlite, _record: object) -> None:
    """No wait for the disk at each event: a kill loses nothing, a power cut the last events of the log."""
    connection.execute("PRAGMA synchronous = NORMAL")
