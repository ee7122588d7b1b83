"""Group commit: all requests that wait share one transaction, and each is answered when it is on disk.

All state lives in the event loop; what waits for a disk or a network is one thread.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Self

from ml_assets.events.batching import BatchQueue
from ml_assets.events.rows import Event, EventRefusedError, EventStoreError
from ml_assets.events.writer import Writer, commit

PATIENCE = 2.0  # seconds
_LOOK = 0.001  # seconds between two looks at a file that another process writes to; uvloop knows no less
_LOCKED = "it is locked: another process is writing to it, and does not end"
_CAPACITY = 10_000  # records: a few MB, and more than is committed within the patience on a slow disk
_BATCH = 1_000  # records a transaction: other processes wait for one at most


@dataclass(frozen=True)
class JournalCounts:
    """The counts of a journal since it was made.

    Args:
        records: acknowledged; what was committed after its caller had gone is not counted.
        transactions: that were committed.
        failed: records whose caller got an error.
        waiting: records that wait now.
        trouble: the last error, or None since the last commit.
    """

    records: int = 0
    transactions: int = 0
    failed: int = 0
    waiting: int = 0
    trouble: str | None = None


class Journal:
    """Takes events of one event loop. `async with` closes it, and what waits is written first.

    Args:
        writer: given over; the journal closes it.
        patience: seconds. Whoever waits longer gets an error, within a tenth more: it is locked, stuck or slow.
        capacity: records that may wait; more are refused at once.
        batch: records a transaction, at most.
    """

    def __init__(
        self, writer: Writer, *, patience: float = PATIENCE, capacity: int = _CAPACITY, batch: int = _BATCH
    ) -> None:
        self._writer = writer
        self._patience = patience
        self._capacity = capacity
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="events")
        self._queue: BatchQueue[Sequence[Event], None] = BatchQueue(
            self._write, self._late, patience=patience, most=batch, ready=self._begin
        )
        self._began = False
        self._closed = False
        self._records = self._transactions = self._failed = 0
        self._trouble: str | None = None
        self._hindered: str | None = None

    async def record(self, *rows: Event) -> None:
        """Return when all rows are committed, in one transaction; they are there, whatever is killed afterwards.

        Raises:
            EventRefusedError: the store cannot hold one of the rows.
            EventStoreError: the store did not commit within the patience, or too many wait. Nothing was acknowledged;
                the rows may be there all the same, never in part.
        """
        if self._closed or self._queue.queued >= self._capacity:
            self._failed += 1
            raise EventStoreError(self._full())
        try:
            await self._queue.ask(rows)
        except EventStoreError:
            self._failed += 1
            raise
        self._records += 1

    @property
    def counts(self) -> JournalCounts:
        """The numbers for health and metrics."""
        waiting = self._queue.unanswered
        return JournalCounts(self._records, self._transactions, self._failed, waiting, self._trouble)

    async def close(self) -> None:
        """Take no more, write what waits, give the store back."""
        self._closed = True
        await self._queue.drain()
        self._queue.close()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._writer.close)
        self._thread.shutdown()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _begin(self) -> bool:
        """Begin a transaction, see `Writer.take`; false where another writer has held the file for too long."""
        until = time.monotonic() + self._patience
        while (began := self._writer.take()) is False and time.monotonic() < until:
            self._hindered = _LOCKED
            await asyncio.sleep(_LOOK)
        self._began = began is True
        self._hindered = _LOCKED if began is False else None
        if began is False:
            self._trouble = _LOCKED
        return began is not False

    async def _write(self, records: list[Sequence[Event]]) -> Sequence[EventStoreError | None]:
        """Insert here, because a thread would fight for Python's lock at each row; wait for the disk in a thread."""
        if self._began:
            with suppress(EventStoreError):  # `commit` finds out which of the rows it was
                self._writer.insert([*chain.from_iterable(records)])
                records = [()] * len(records)
        answers = await asyncio.get_running_loop().run_in_executor(self._thread, commit, self._writer, records)
        self._transactions += None in answers
        # An event that was refused is its sender's trouble, not the store's.
        troubles = [str(answer) for answer in answers if answer and not isinstance(answer, EventRefusedError)]
        self._trouble = troubles[0] if troubles else None
        return answers

    def _late(self) -> EventStoreError:
        why = self._hindered or self._trouble or "it does not answer"
        return EventStoreError(f"the event store did not commit within {self._patience} s: {why}")

    def _full(self) -> str:
        if self._closed:
            return "the journal is closed: its server is stopping"
        return (
            f"{self._queue.queued} records wait for the event store, which takes less than comes; give it a faster disk"
        )
