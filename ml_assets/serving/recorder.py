"""Recording: events of requests are on disk before the requests are answered."""

import logging
from collections.abc import Sequence

from ml_assets.events.journal import Journal
from ml_assets.events.rows import Event, EventRefusedError, EventStoreError
from ml_assets.events.store import EventStore
from ml_assets.serving.problem import Problem, unavailable

_LOG = logging.getLogger("ml_assets.serving")


class Recorder:
    """The way of one process to the event store.

    Args:
        events: the store.
        log_predictions: whether predictions are recorded; outcomes, searches and traffic always are.
    """

    def __init__(self, events: EventStore, *, log_predictions: bool) -> None:
        self._events = events
        self._log_predictions = log_predictions
        self._journal: Journal | None = None
        self._unrecorded: str | None = None

    def start(self) -> None:
        """Begin to write; called in the event loop."""
        self._journal = Journal(self._events.writer())

    async def close(self) -> None:
        """Write what waits and give the store back."""
        await self.journal.close()

    @property
    def journal(self) -> Journal:
        """Where events are written."""
        if self._journal is None:
            raise RuntimeError("the worker has not been started")
        return self._journal

    @property
    def trouble(self) -> str | None:
        """The reason why events are not written. While a write hangs, only those who gave up waiting know it."""
        return self.journal.counts.trouble or self._unrecorded

    async def record_predictions(self, rows: Sequence[Event]) -> None:
        """Record answers of models and searches; afterwards nothing can lose them.

        Raises:
            Problem: they are not recorded, so they may not be answered.
        """
        if self._log_predictions:
            await self.record(rows)

    async def record_answers(self, predictions: Sequence[Event], measured: Sequence[Event]) -> None:
        """Record answers, and what was measured of them, in one transaction; the latter always is.

        Raises:
            Problem: they are not recorded, so they may not be answered.
        """
        rows = [*predictions, *measured] if self._log_predictions else measured
        if rows:
            await self.record(rows)

    async def record(self, rows: Sequence[Event]) -> None:
        """Record events.

        Raises:
            Problem: they are not recorded.
        """
        try:
            await self.journal.record(*rows)
        except EventRefusedError as error:
            _LOG.warning("%s", error)  # a client is not told where the store is
            raise Problem(
                422, "refused", "the event store cannot hold a row of this request, so none was answered",
                "send one row at a time; the server's log says what the store refused", field="$",
            ) from None  # fmt: skip
        except EventStoreError as error:
            self._unrecorded = str(error)
            raise unavailable("event-store", f"nothing is answered that cannot be recorded: {error}") from None

    async def probe(self, rows: Sequence[Event]) -> bool:
        """Record events of the server's own; false: the store does not work."""
        try:
            await self.journal.record(*rows)
        except EventStoreError as error:
            self._unrecorded = str(error)
            return False
        self._unrecorded = None
        return True
