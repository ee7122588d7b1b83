"""Batching: the calls that come while one batch is worked on are the next, so batches grow with the load."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class _Call(NamedTuple, Generic[Q, A]):
    question: Q
    answer: "asyncio.Future[A]"
    since: float


class BatchQueue(Generic[Q, A]):
    """Answers the calls of one event loop in batches; nobody waits for a timer.

    Args:
        work: answers a batch: an answer or an error for each question, in their order.
        late: makes the error of a call that waits longer than the patience, within a tenth more.
        patience: seconds.
        most: questions of a batch.
        ready: awaited before a batch is taken, so that what comes meanwhile goes with it; false: try again.

    >>> async def double(numbers):
    ...     return [2 * number for number in numbers]
    >>> async def ask_twice():
    ...     queue = BatchQueue(double, TimeoutError, patience=1.0)
    ...     return await asyncio.gather(queue.ask(1), queue.ask(2))
    >>> asyncio.run(ask_twice())
    [2, 4]
    """

    def __init__(
        self,
        work: Callable[[list[Q]], Awaitable[Sequence[A | Exception]]],
        late: Callable[[], Exception],
        *,
        patience: float,
        most: int | None = None,
        ready: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self._work, self._late, self._ready = work, late, ready
        self._patience = patience
        self._most = most
        self._queued: deque[_Call[Q, A]] = deque()
        self._batch: Sequence[_Call[Q, A]] = ()
        self._task: asyncio.Task[None] | None = None
        self._watch: asyncio.TimerHandle | None = None

    def ask(self, question: Q) -> "asyncio.Future[A]":
        """Queue a question; the future is its answer."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[A] = loop.create_future()
        self._queued.append(_Call(question, answer, time.monotonic()))
        if self._task is None:  # begins after this turn of the loop: all who ask in it share the batch
            self._task = loop.create_task(self._answer_all())
        if self._watch is None:
            self._watch = loop.call_later(self._patience / 10, self._give_up)
        return answer

    @property
    def queued(self) -> int:
        """Calls that are not worked on yet."""
        return len(self._queued)

    @property
    def unanswered(self) -> int:
        """All calls that wait."""
        return len(self._queued) + len(self._batch)

    async def drain(self) -> None:
        """Return once nothing waits."""
        if self._task is not None:
            await self._task

    def close(self) -> None:
        """Stop the clock of those who wait."""
        if self._watch is not None:
            self._watch.cancel()

    async def _answer_all(self) -> None:
        try:
            while self._queued:
                if self._ready is not None and not await self._ready():
                    continue
                count = len(self._queued) if self._most is None else min(len(self._queued), self._most)
                batch = self._batch = [self._queued.popleft() for _ in range(count)]
                try:
                    answers = await self._work([call.question for call in batch])
                except Exception as error:  # noqa: BLE001 - a caller that hears nothing waits for ever
                    answers = [RuntimeError(f"{type(error).__name__}: {error}")] * len(batch)
                self._batch = ()
                for call, answer in zip(batch, answers, strict=True):
                    _settle(call, answer)
        finally:
            self._task, self._batch = None, ()

    def _give_up(self) -> None:
        """Tell those who wait too long; what is not being worked on yet is dropped, the rest may still be done."""
        until, self._watch = time.monotonic() - self._patience, None
        for call in self._batch:
            if call.since < until:
                _settle(call, self._late())
        while self._queued and self._queued[0].since < until:
            _settle(self._queued.popleft(), self._late())
        if self.unanswered:
            self._watch = asyncio.get_running_loop().call_later(self._patience / 10, self._give_up)


def _settle(call: _Call[Q, A], answer: A | Exception) -> None:
    if call.answer.done():  # its caller may have gone, or been told that it took too long
        return
    if isinstance(answer, Exception):
        # One error for each caller: a shared one would gather the traceback of all.
        call.answer.set_exception(type(answer)(str(answer)))
    else:
        call.answer.set_result(answer)
