"""Calls that come while a batch is worked on are the next batch, and each caller hears of its own question."""

import asyncio
from collections.abc import Sequence

import pytest

from ml_assets.events.batching import BatchQueue


def test_questions_of_one_turn_share_a_batch_and_those_that_come_meanwhile_are_the_next() -> None:
    batches: list[list[int]] = []

    async def work(numbers: list[int]) -> Sequence[int]:
        batches.append(numbers)
        await asyncio.sleep(0.01)
        return [number + 1 for number in numbers]

    async def run() -> None:
        queue: BatchQueue[int, int] = BatchQueue(work, TimeoutError, patience=10.0, most=3)
        first = [queue.ask(number) for number in range(2)]
        await asyncio.sleep(0.001)
        assert (queue.queued, queue.unanswered) == (0, 2)
        assert await asyncio.gather(*first, *(queue.ask(number) for number in range(2, 6))) == [1, 2, 3, 4, 5, 6]
        await queue.drain()
        queue.close()

    asyncio.run(run())
    assert batches == [[0, 1], [2, 3, 4], [5]]


def test_an_error_is_told_to_its_caller_and_a_fault_to_all() -> None:
    async def work(numbers: list[int]) -> Sequence[int | Exception]:
        if 0 in numbers:
            raise KeyError("zero")
        return [ValueError(str(number)) if number == 2 else number for number in numbers]

    async def run(*numbers: int) -> list[object]:
        queue: BatchQueue[int, int] = BatchQueue(work, TimeoutError, patience=10.0)
        return await asyncio.gather(*map(queue.ask, numbers), return_exceptions=True)

    one, two, three = asyncio.run(run(1, 2, 3))
    assert (one, str(two), type(two), three) == (1, "2", ValueError, 3)
    assert [str(answer) for answer in asyncio.run(run(0, 1))] == ["KeyError: 'zero'"] * 2


def test_who_waits_longer_than_the_patience_is_told_so() -> None:
    async def work(numbers: list[int]) -> Sequence[int]:
        await asyncio.sleep(0.5)
        return numbers

    async def run() -> None:
        queue: BatchQueue[int, int] = BatchQueue(work, TimeoutError, patience=0.05, most=1)
        calls = [queue.ask(1), queue.ask(2)]
        for call in calls:
            with pytest.raises(TimeoutError):
                await call
        assert queue.queued == 0
        await queue.drain()
        queue.close()

    asyncio.run(run())
