"""The answers to a request whose rows are split among variants."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from ml_assets.events.rows import Prediction, prediction_id
from ml_assets.serving.http import VARIANT
from ml_assets.serving.models.model import Answer, AnswerLabels, ModelInput, ServedModel
from ml_assets.serving.models.split import TrafficSplit
from ml_assets.serving.problem import Problem
from ml_assets.serving.request import RequestRows
from ml_assets.serving.services import Services
from ml_assets.serving.variants.alone import answer_alone, assign_alone
from ml_assets.serving.variants.measures import SETTLED, AssignedRow, Measured, answer_marks, is_drawn
from ml_assets.serving.variants.rows import VariantRows
from ml_assets.serving.variants.shadows import ShadowRows
from ml_assets.serving.variants.trials import TrialRows

_REQUEST = "request"


async def answer_split(
    services: Services,
    split: TrafficSplit,
    rows: RequestRows,
    scope: Any,  # noqa: ANN401 - of ASGI
    began: int,
) -> list[Answer]:
    """Answer the rows of a request by the variants of their units, and record the answers.

    Args:
        services: of the process.
        split: of the route.
        rows: of the request.
        scope: of ASGI, which is told the variant that was asked.
        began: when the request came, nanoseconds since 1970.

    Raises:
        Problem: a store does not answer, an entity is not known, or a document cannot be read.
    """
    failed = False
    if (row := assign_alone(services, split, rows)) is not None:
        scope[VARIANT] = row.variant
        answers = await answer_alone(services, split, rows, row, began)
        if answers is not None:
            return answers
        failed = True
    request = SplitRequest(services, split, VariantRows(services, split, rows, began), began, failed=failed)
    return await request.answer(scope)


class SplitRequest:
    """One request whose rows are split.

    Rows of a variant are answered together. What another variant than the default one does not answer, the default one
    does: the client sees no failure, and the row stays the other variant's in what is measured.

    Args:
        services: of the process.
        split: of the route.
        rows: of the request.
        began: when it came, nanoseconds since 1970.
        failed: the variant that was assigned has failed already.
    """

    def __init__(
        self, services: Services, split: TrafficSplit, rows: VariantRows, began: int, *, failed: bool = False
    ) -> None:
        self._services = services
        self._split = split
        self._rows = rows
        self._began = began
        self._ids = [prediction_id(split.route.model, began) for _ in rows.rows.entities]
        self._assigned: list[AssignedRow] = []
        self._answers: dict[int, tuple[Answer, Prediction]] = {}
        self._failed: set[int] = set(range(len(self._ids))) if failed else set()

    async def answer(self, scope: Any) -> list[Answer]:  # noqa: ANN401 - of ASGI
        """Answer and record all rows; the variant that was asked is written into the scope.

        Raises:
            Problem: a store does not answer, an entity is not known, or a document cannot be read.
        """
        await self._rows.read()
        self._assigned = await self._assign()
        places = self._places()
        if len(places) == 1:
            scope[VARIANT] = next(iter(places))
        try:
            await self._answer_all(places)
        except Exception as error:
            if not isinstance(error, Problem) or error.status >= 500:
                await self._measured().write_failures(self._services.recorder, self._assigned, self._began // 1000)
            raise
        return await self._record()

    async def _assign(self) -> list[AssignedRow]:
        split, default = self._split, self._split.default.variant
        units = self._ids if split.route.unit == _REQUEST else self._rows.rows.entities
        if not split.splits:
            return [AssignedRow(unit, default) for unit in units]
        answerable = await self._rows.answerable()
        return [
            AssignedRow(unit, split.assign(unit)) if possible and unit is not None else AssignedRow(None, default)
            for unit, possible in zip(units, answerable, strict=True)
        ]

    def _places(self) -> dict[str, list[int]]:
        """The places of the rows of each variant."""
        places: dict[str, list[int]] = {}
        for at, row in enumerate(self._assigned):
            places.setdefault(row.variant, []).append(at)
        return places

    async def _answer_all(self, places: dict[str, list[int]]) -> None:
        own = places.pop(self._split.default.variant, [])
        tries = [self._answer_by_other(variant, some) for variant, some in places.items()]
        if own:
            tries.append(self._answer_by_default(own))  # last: the others' threads are at work meanwhile
        await (tries[0] if len(tries) == 1 else asyncio.gather(*tries))
        for variant, some in places.items():
            if self._failed.intersection(some):
                await self._answer_by_default(some, variant)

    async def _answer_by_other(self, variant: str, places: Sequence[int]) -> None:
        """Let another variant answer. Whatever it raises, the request is answered all the same."""
        if self._failed.intersection(places):
            return
        try:
            seen = await self._rows.inputs(variant, places)
            rows = TrialRows(self._entities(places), seen, self._labels(variant, places))
            answered = await self._services.trials.answers(self._split, variant, rows)
        except Exception:  # noqa: BLE001 - ONNX Runtime's errors derive from nothing else; the breaker logs them
            self._failed.update(places)
        else:
            self._answers.update(zip(places, zip(*answered, strict=True), strict=True))

    async def _answer_by_default(self, places: Sequence[int], variant: str | None = None) -> None:
        default = self._split.default
        seen = await self._rows.inputs(default.variant, places)
        if default.manifest.documents:  # milliseconds for each, as without a split
            lane = self._services.lanes.describing
            answered = await lane.run(self._score, default, places, seen, variant or default.variant)
        else:
            answered = self._score(default, places, seen, variant or default.variant)
        self._answers.update(zip(places, zip(*answered, strict=True), strict=True))

    def _score(
        self, model: ServedModel, places: Sequence[int], seen: Sequence[ModelInput], variant: str
    ) -> tuple[list[Answer], list[Prediction]]:
        decisions = model.artifact.answer([row.values for row in seen])
        return model.label(self._entities(places), seen, decisions, self._labels(variant, places))

    def _labels(self, variant: str, places: Sequence[int]) -> AnswerLabels:
        """The labels of rows that are answered now."""
        ids = [self._ids[at] for at in places]
        took = (time.time_ns() - self._began) // 1000
        return AnswerLabels(variant, ids, self._began // 1000, took, self._rows.rows.explained)

    def _entities(self, places: Sequence[int]) -> list[str | None]:
        return [self._rows.rows.entities[at] for at in places]

    async def _record(self) -> list[Answer]:
        """Write what is known of the answers, in one transaction."""
        answered = [self._answers[at] for at in range(len(self._ids))]
        measured = self._measured()
        for at, (row, (answer, prediction)) in enumerate(zip(self._assigned, answered, strict=True)):
            failed = at in self._failed
            marks = answer_marks(self._split, row.variant, answer.missing, prediction, failed=failed)
            measured.add(row, marks, prediction.prediction_id, prediction.requested_at)
        await self._services.recorder.record_answers([prediction for _, prediction in answered], measured.rows)
        measured.remember()
        if self._split.route.shadow and self._split.route.experiment:
            self._offer_shadows([prediction for _, prediction in answered])
        return [answer for answer, _ in answered]

    def _offer_shadows(self, predictions: Sequence[Prediction]) -> None:
        """Let the other variants answer units that were drawn, once each."""
        split, measured = self._split, self._services.measures.units(self._split)
        drawn = [
            at
            for at, row in enumerate(self._assigned)
            if row.unit is not None and at not in self._failed and is_drawn(split, measured, row.unit)
        ]
        for variant in split.models:
            places = [at for at in drawn if self._assigned[at].variant != variant]
            units = [str(self._assigned[at].unit) for at in places]
            rows = ShadowRows(split, variant, self._rows, places, units, [predictions[at] for at in places])
            if places and self._services.shadows.offer(rows):
                for unit in units:
                    measured.remember(unit, SETTLED)

    def _measured(self) -> Measured:
        return Measured(self._split, self._services.measures.units(self._split))
