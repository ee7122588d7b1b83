"""Shadow answers: what another variant says of rows that were answered, worked out after the answer was sent."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from ml_assets.events.exposures import ShadowAnswer
from ml_assets.events.rows import Prediction
from ml_assets.redaction import redact
from ml_assets.serving.models.model import AnswerLabels
from ml_assets.serving.models.split import TrafficSplit
from ml_assets.serving.recorder import Recorder
from ml_assets.serving.variants.trials import Answered, TrialRows, TrialThreads

if TYPE_CHECKING:
    from ml_assets.serving.variants.rows import VariantRows

_WAITING = 256  # requests; more are dropped, and counted
_DOCUMENTS = 8  # requests of documents, which are large


class ShadowRows(NamedTuple):
    """Rows of a request that a variant is to answer in shadow.

    Args:
        split: of the route.
        variant: that is to answer.
        rows: of the request.
        places: of the rows that it is to answer.
        units: of those rows.
        given: what is recorded of the answers that were given to them.
    """

    split: TrafficSplit
    variant: str
    rows: "VariantRows"
    places: Sequence[int]
    units: Sequence[str]
    given: Sequence[Prediction]


class Shadows:
    """The rows that wait for a shadow's answer, for one event loop. They are lost with the process.

    Args:
        recorder: of the answers.
        threads: in which variants answer: others than those in which requests are answered.
        count_dropped: told the model and the number of rows that were dropped.
    """

    def __init__(self, recorder: Recorder, threads: TrialThreads, count_dropped: Callable[[str, int], None]) -> None:
        self._recorder = recorder
        self._threads = threads
        self._count_dropped = count_dropped
        self._queue: asyncio.Queue[ShadowRows] = asyncio.Queue(_WAITING)
        self._task: asyncio.Task[None] | None = None

    def offer(self, rows: ShadowRows) -> bool:
        """Let rows be answered once the loop is free; false: too many wait, so these are dropped."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._answer_on())
        if self._queue.qsize() >= (_DOCUMENTS if rows.rows.rows.documents else _WAITING):
            self._count_dropped(rows.split.route.model, len(rows.places))
            return False
        self._queue.put_nowait(rows)
        return True

    async def close(self) -> None:
        """Drop what waits."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._threads.close()

    async def _answer_on(self) -> None:
        while True:
            await self._answer(await self._queue.get())

    async def _answer(self, offered: ShadowRows) -> None:
        rows = await _answerable(offered)
        if not rows.places:
            return
        try:
            _, predictions = await self._score(rows)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors derive from nothing else
            await self._recorder.probe(_failures(rows, error))
        else:
            await self._recorder.probe(_answers(rows, predictions))

    async def _score(self, rows: ShadowRows) -> Answered:
        seen = await rows.rows.inputs(rows.variant, rows.places)
        ids = [given.prediction_id for given in rows.given]
        labels = AnswerLabels(rows.variant, ids, rows.given[0].requested_at, 0)
        trial = TrialRows([given.entity for given in rows.given], seen, labels)
        return await self._threads.answers(rows.split, rows.variant, trial)


async def _answerable(rows: ShadowRows) -> ShadowRows:
    """Those that every variant could answer."""
    answerable = await rows.rows.answerable()
    chosen = [at for at, place in enumerate(rows.places) if answerable[place]]
    return rows._replace(
        places=[rows.places[at] for at in chosen],
        units=[rows.units[at] for at in chosen],
        given=[rows.given[at] for at in chosen],
    )


def _answers(rows: ShadowRows, predictions: Sequence[Prediction]) -> list[ShadowAnswer]:
    at = time.time_ns() // 1000
    return [
        ShadowAnswer(
            given.prediction_id, given.model, str(rows.split.route.experiment), unit, rows.variant, shadow.version,
            shadow.score, shadow.decision, shadow.predicted, int(shadow.decision == given.decision), shadow.latency,
            None, at,
        )
        for unit, given, shadow in zip(rows.units, rows.given, predictions, strict=True)
    ]  # fmt: skip


def _failures(rows: ShadowRows, error: Exception) -> list[ShadowAnswer]:
    at, experiment = time.time_ns() // 1000, str(rows.split.route.experiment)
    version = next(str(each.version) for each in rows.split.route.variants if each.name == rows.variant)
    why = redact(f"{error}".split("\n", 1)[0])[:300] or type(error).__name__
    return [
        ShadowAnswer(
            given.prediction_id, given.model, experiment, unit, rows.variant, version,
            None, None, None, 0, 0, why, at,
        )
        for unit, given in zip(rows.units, rows.given, strict=True)
    ]  # fmt: skip
