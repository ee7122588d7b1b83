"""Group commit: all requests that wait share one transaction, and each is answered when it is on disk.

All state lives in the event loop; what waits for a disk or a network is one thread. What arrives during a commit is the
next batch, so batches grow with the load and nobody waits for a timer.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from types import TracebackType
from typing import NamedTuple, Self

from ml_assets.events.rows import Event, EventRefusedError, EventStoreError
from ml_assets.events.writer import Writer, commit

PATIENCE = 2.0  # seconds
_LOOK = 0.001  # seconds between two looks at a file that another process writes to; uvloop knows no less
_LOCKED = "it is locked: another process is writing to it, and does not end"
_CAPACITY = 10_000  # records: a few MB, and more than is committed within the patience on a slow disk
_BATCH = 1_000  # records a transaction: other processes wait for one at most


class _Record(NamedTuple):
    rows: Sequence[Event]
    done: "asyncio.Future[None]"
    since: float


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
        patience: seconds. Whoever waits longer gets an error, within a quarter more: it is locked, stuck or slow.
        capacity: records that may wait; more are refused at once.
        batch: records a transaction, at most.
    """

    def __init__(
        self, writer: Writer, *, patience: float = PATIENCE, capacity: int = _CAPACITY, batch: int = _BATCH
    ) -> None:
        self._writer = writer
        self._patience = patience
        self._capacity = capacity
        self._batch = batch
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="events")
        self._waiting: deque[_Record] = deque()
        self._writing: Sequence[_Record] = ()
        self._drain: asyncio.Task[None] | None = None
        self._watch: asyncio.TimerHandle | None = None
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
        if self._closed or len(self._waiting) >= self._capacity:
            self._failed += 1
            raise EventStoreError(self._full())
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append(_Record(rows, done, time.monotonic()))
        if self._drain is None:  # begins after this turn of the loop: all who record in it share the transaction
            self._drain = loop.create_task(self._write_all())
        if self._watch is None:
            self._watch = loop.call_later(self._patience / 4, self._give_up)
        await done

    @property
    def written(self) -> JournalCounts:
        """The numbers for health and metrics."""
        waiting = len(self._waiting) + len(self._writing)
        return JournalCounts(self._records, self._transactions, self._failed, waiting, self._trouble)

    async def close(self) -> None:
        """Take no more, write what waits, give the store back."""
        self._closed = True
        if self._drain is not None:
            await self._drain
        if self._watch is not None:
            self._watch.cancel()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._writer.close)
        self._thread.shutdown()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                taken = await self._taken()
                if taken is False:
                    self._trouble = _LOCKED
                    continue
                some = self._writing = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._batch))]
                answers = await self._commit([record.rows for record in some], taken=taken is True)
                self._writing = ()
                self._answer(some, answers)
        finally:
            self._drain = None

    async def _taken(self) -> bool | None:
        """See `Writer.take`; another writer is waited for here, and what comes meanwhile goes with it."""
        until = time.monotonic() + self._patience
        while (taken := self._writer.take()) is False and time.monotonic() < until:
            self._hindered = _LOCKED
            await asyncio.sleep(_LOOK)
        self._hindered = _LOCKED if taken is False else None
        return taken

    async def _commit(self, rows: list[Sequence[Event]], *, taken: bool) -> list[EventStoreError | None]:
        """Rows are put in here, for a thread would fight for Python's lock at each; the disk is waited for in one."""
        if taken:
            with suppress(EventStoreError):  # `commit` finds out which of the rows it was
                self._writer.put([*chain.from_iterable(rows)])
                rows = [()] * len(rows)
        return await asyncio.get_running_loop().run_in_executor(self._thread, commit, self._writer, rows)

    def _answer(self, some: Sequence[_Record], answers: Sequence[EventStoreError | None]) -> None:
        self._transactions += None in answers
        # An event that was refused is its sender's trouble, not the store's.
        troubles = [str(answer) for answer in answers if answer and not isinstance(answer, EventRefusedError)]
        self._trouble = troubles[0] if troubles else None
        for record, answer in zip(some, answers, strict=True):
            if answer is not None:
                self._fail(record, answer)
            elif not record.done.done():  # its caller may have gone, or been told that it took too long
                record.done.set_result(None)
                self._records += 1

    def _fail(self, record: _Record, error: EventStoreError) -> None:
        if not record.done.done():
            self._failed += 1
            # One error for each caller: a shared one would gather the traceback of all.
            record.done.set_exception(type(error)(str(error)))

    def _give_up(self) -> None:
        """Tell those who wait too long; what is not being written yet is dropped."""
        now, self._watch = time.monotonic(), None
        why = self._hindered or self._trouble or "it does not answer"
        late = EventStoreError(f"the event store did not commit within {self._patience} s: {why}")
        for record in self._writing:
            if now - record.since > self._patience:
                self._fail(record, late)
        while self._waiting and now - self._waiting[0].since > self._patience:
            self._fail(self._waiting.popleft(), late)
        if self._drain is not None:
            self._watch = asyncio.get_running_loop().call_later(self._patience / 4, self._give_up)

    def _full(self) -> str:
        if self._closed:
            return "the journal is closed: its server is stopping"
        waiting = len(self._waiting)
        return f"{waiting} records wait for the event store, which takes less than comes; give it a faster disk"
