"""Trials: a variant that is not the default one answers in a thread, no longer than a deadline, while it is of use.

A thread costs more than a small model: one that was quick a hundred times answers in the event loop, as the default one
does, and a watchdog ends what takes too long. The first answer that is slow sends it back to the threads.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache
from typing import Any, NamedTuple

from ml_assets.errors import MlAssetsError
from ml_assets.serving.models.artifact import Decision
from ml_assets.serving.models.model import Answer, AnswerLabels, ModelInput, ServedModel
from ml_assets.serving.models.split import TrafficSplit
from ml_assets.serving.variants.crashes import CrashWatch
from ml_assets.serving.variants.watchdog import LATEST, Watchdog, thread_clock

Answered = tuple[list[Answer], list[Any]]

_MOST = 20  # failures in a row, after which a variant is not asked any more
_SHORTEST = 0.005  # seconds between two looks at one that waits
_PROVEN = 100  # quick answers in a row, after which a variant answers in the event loop
_QUICK = 0.1  # of the deadline
_LOG = logging.getLogger("ml_assets.serving")


class NotAskedError(MlAssetsError):
    """A variant is not asked any more, or never was: it cannot be loaded, or it only failed."""


class TrialRows(NamedTuple):
    """Rows that a variant is to answer.

    Args:
        entities: of the rows.
        seen: what the model sees of each.
        labels: of the answers; the time that scoring takes is added to their latency.
    """

    entities: Sequence[str | None]
    seen: Sequence[ModelInput]
    labels: AnswerLabels


class TrialRecord:
    """How a variant has answered in one stage: after so many failures in a row it is not asked any more.

    Args:
        stage: of which it is; another stage begins anew.
        who: the variant, for people.
        deadline: seconds that it may take.
    """

    def __init__(self, stage: object, who: str, deadline: float) -> None:
        self.stage = stage
        self._who = who
        self._limit = _QUICK * deadline
        self._failures = self._quick = 0
        self._last = ""

    @property
    def trouble(self) -> str | None:
        """The reason why the variant is not asked any more; None: it is asked."""
        if self._failures < _MOST:
            return None
        return f"{self._who} has failed {_MOST} times in a row and is not asked any more; the last time: {self._last}"

    @property
    def is_proven(self) -> bool:
        """Tell whether the variant may answer in the event loop."""
        return self._quick >= _PROVEN

    def count_answer(self, seconds: float) -> None:
        """Count an answer, and what it took."""
        self._failures = 0
        self._quick = self._quick + 1 if seconds <= self._limit else 0

    def count_failure(self, error: Exception) -> None:
        """Count an error in place of an answer."""
        self._failures += 1
        self._quick = 0
        self._last = f"{error}".split("\n", 1)[0][:300] or type(error).__name__
        _LOG.warning("%s: %s", self._who, self._last)


class ThreadWork:
    """A call in a thread, and the processor time that it has taken so far.

    A machine that is busy lets every answer wait. The default variant has no deadline, so waiting may not count as a
    failure of another one: it would fail on such a machine, and be rolled back, although the two are equal.
    """

    def __init__(self) -> None:
        self._clock: int | None = None
        self._began = 0.0

    def run(self, function: Callable[..., Answered], *arguments: Any) -> Answered:  # noqa: ANN401 - of any function
        """Call a function, in the thread whose time counts from now on."""
        clock = thread_clock()
        self._began = time.clock_gettime(clock)
        self._clock = clock
        return function(*arguments)

    def seconds(self) -> float:
        """Of processor time; none before the thread has begun."""
        return 0.0 if self._clock is None else time.clock_gettime(self._clock) - self._began


class TrialThreads:
    """The threads in which variants answer on trial, for one event loop.

    Args:
        crashes: that are found by other processes.
        threads: at work at once. One that ONNX Runtime does not give back is lost to the others.
    """

    def __init__(self, crashes: CrashWatch, threads: int = 2) -> None:
        self._crashes = crashes
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="trials")
        self._watchdog = Watchdog(crashes.end_process)
        self._records: dict[tuple[str, str], TrialRecord] = {}

    async def answers(self, split: TrafficSplit, variant: str, rows: TrialRows) -> Answered:
        """What a variant says of rows, as of `ServedModel.answers`.

        Raises:
            NotAskedError: it is not asked any more.
            TimeoutError: it worked longer than the deadline of the split, or a second has passed. ONNX Runtime is told
                to end.
            Exception: whatever ONNX Runtime raises.
        """
        record = self._record(split, variant)
        model = split.models[variant]
        if model is None or (trouble := record.trouble):
            raise NotAskedError(trouble if model else f"{variant} of {split.route.model} cannot be loaded")
        try:
            answered = await self._run(model, rows, split.deadline, tried=model is not split.default)
        except Exception as error:
            record.count_failure(error)
            raise
        record.count_answer((answered[1][0].latency - rows.labels.latency) / 1e6)  # without its wait for the thread
        return answered

    def is_proven(self, split: TrafficSplit, variant: str) -> bool:
        """Tell whether a variant may answer in the event loop, by `decide`."""
        return split.models[variant] is not None and self._record(split, variant).is_proven

    def decide(self, split: TrafficSplit, variant: str, seen: Sequence[ModelInput]) -> list[Decision]:
        """What a proven variant says, in the event loop.

        Raises:
            Exception: whatever ONNX Runtime raises, also where the watchdog has ended it.
        """
        model, record, run = split.models[variant], self._record(split, variant), _run_options()()
        assert model is not None  # noqa: S101 - it is proven
        began = time.perf_counter()
        try:
            with self._watchdog.watch(run, split.deadline, model.release):
                decisions = model.artifact.answer([row.values for row in seen], run)
        except Exception as error:
            record.count_failure(error)
            raise
        record.count_answer(time.perf_counter() - began)
        return decisions

    def troubles(self, splits: Iterable[TrafficSplit]) -> dict[tuple[str, str], str]:
        """Model and variant of splits → why it is not asked any more."""
        stages = {split.route.model: split.stage for split in splits}
        return {
            key: trouble
            for key, record in self._records.items()
            if record.stage == stages.get(key[0]) and (trouble := record.trouble)
        }

    def close(self) -> None:
        """Take no more; what is under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._watchdog.close()

    def _record(self, split: TrafficSplit, variant: str) -> TrialRecord:
        key = split.route.model, variant
        record = self._records.get(key)
        if record is not None and record.stage is split.stage:
            return record
        if record is None or record.stage != split.stage:
            version = next(each.version for each in split.route.variants if each.name == variant)
            who = f"version {version} of {split.route.model} ({variant})"
            record = self._records[key] = TrialRecord(split.stage, who, split.deadline)
        record.stage = split.stage  # of a lease that was renewed: to compare what is the same is quicker
        return record

    async def _run(self, model: ServedModel, rows: TrialRows, deadline: float, *, tried: bool) -> Answered:
        run, work = _run_options()(), ThreadWork()
        watch = self._crashes if tried else None
        call = asyncio.get_running_loop().run_in_executor(self._threads, work.run, _score, model, rows, run, watch)
        latest = time.monotonic() + max(deadline, LATEST)
        try:
            while not (await asyncio.wait({call}, timeout=max(deadline - work.seconds(), _SHORTEST)))[0]:
                if work.seconds() >= deadline or time.monotonic() >= latest:
                    raise TimeoutError(f"no answer within {1000 * deadline:g} ms")
            return call.result()
        finally:
            run.terminate = not call.done()
            call.cancel()


@cache
def _run_options() -> Any:  # noqa: ANN401 - onnxruntime has no types
    """Their class, which is not imported by each request."""
    from onnxruntime import RunOptions

    return RunOptions


def _score(model: ServedModel, rows: TrialRows, run: Any, crashes: CrashWatch | None) -> Answered:  # noqa: ANN401
    """Score in a thread. Its own processor time is what counts: it is what the model would take as the default one.

    Waiting for the thread, and for Python's lock, is what this server adds to a variant that is on trial; counted as
    its latency it would make every challenger slower than the champion that it equals.
    """
    with crashes.attempt(model.release) if crashes else nullcontext():
        began = time.thread_time_ns()
        decisions = model.artifact.answer([row.values for row in rows.seen], run)
        took = (time.thread_time_ns() - began) // 1000
    labels = rows.labels._replace(latency=rows.labels.latency + took)
    return model.label(rows.entities, rows.seen, decisions, labels)
