"""Trials: a variant that is not the default one answers in a thread, and no longer than a deadline."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ml_assets.serving.models.model import Answer, AnswerLabels, ModelInput, ServedModel

Answered = tuple[list[Answer], list[Any]]

_THREADS = 2


class TrialThreads:
    """The threads in which other variants than the default one answer, for one event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="trials")

    async def answers(
        self,
        model: ServedModel,
        entities: Sequence[str | None],
        seen: Sequence[ModelInput],
        labels: AnswerLabels,
        deadline: float,
    ) -> Answered:
        """What a model says of rows, as of `ServedModel.answers`.

        Args:
            model: of the variant.
            entities: of the rows.
            seen: what the model sees of each.
            labels: of the answers; the time that scoring takes is added to their latency.
            deadline: seconds.

        Raises:
            TimeoutError: it took longer. ONNX Runtime is told to end; until it does, a thread is lost.
        """  # fmt: skip
        run = _run_options()
        call = asyncio.get_running_loop().run_in_executor(self._threads, _score, model, entities, seen, labels, run)
        try:
            async with asyncio.timeout(deadline):
                return await call
        except TimeoutError:
            run.terminate = True
            raise TimeoutError(f"no answer within {1000 * deadline:g} ms") from None

    def close(self) -> None:
        """Take no more; what is under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _run_options() -> Any:  # noqa: ANN401 - onnxruntime has no types
    from onnxruntime import RunOptions

    return RunOptions()


def _score(
    model: ServedModel, entities: Sequence[str | None], seen: Sequence[ModelInput], labels: AnswerLabels, run: Any  # noqa: ANN401
) -> Answered:  # fmt: skip
    """Score in a thread. Its own processor time is what counts: it is what the model would take as the default one.

    Waiting for the thread, and for Python's lock, is what this server adds to a variant that is on trial; counted as
    its latency it would make every challenger slower than the champion that it equals.
    """
    began = time.thread_time_ns()
    decisions = model.artifact.answer([row.values for row in seen], run)
    took = (time.thread_time_ns() - began) // 1000
    return model.label(entities, seen, decisions, labels._replace(latency=labels.latency + took))
