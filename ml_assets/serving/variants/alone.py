"""The request of one row, which most are: answered without a thread, and with hardly more work than without a split."""

import time
from collections.abc import Sequence

from ml_assets.events.rows import prediction_id
from ml_assets.serving.models.artifact import Decision
from ml_assets.serving.models.model import Answer, AnswerLabels, ModelInput
from ml_assets.serving.models.split import TrafficSplit
from ml_assets.serving.request import RequestRows
from ml_assets.serving.services import Services
from ml_assets.serving.variants.measures import AssignedRow, Measured, answer_marks, is_drawn
from ml_assets.serving.variants.rows import read_inputs


def assign_alone(services: Services, split: TrafficSplit, rows: RequestRows) -> AssignedRow | None:
    """The row of a request, assigned; None where there is more to it.

    There is where its unit has no name or is the request, where it holds a document, where not every variant reads what
    the default one does, where another one answers in shadow, and where its variant still needs a thread.
    """
    if len(rows.entities) != 1 or split.route.unit != "entity" or split.default.manifest.documents:
        return None
    unit = rows.entities[0]
    if unit is None or not split.alike[rows.values is not None]:
        return None
    units = services.measures.units(split)
    if split.route.shadow and is_drawn(split, units, unit):
        return None
    variant = units.variant(split, unit)
    if variant != split.default.variant and not services.trials.is_proven(split, variant):
        return None
    return AssignedRow(unit, variant)


async def answer_alone(
    services: Services, split: TrafficSplit, rows: RequestRows, row: AssignedRow, began: int
) -> list[Answer] | None:
    """The answer to the only row of a request; None where another variant than the default one has failed.

    Args:
        services: of the process.
        split: of the route.
        rows: of the request.
        row: of `assign_alone`.
        began: when the request came, nanoseconds since 1970.

    Raises:
        Problem: a store does not answer, or the entity is not known.
    """
    inputs = await _inputs(services, split, rows, row.variant, began)
    units = services.measures.units(split)
    try:
        decisions = _decide(services, split, row.variant, inputs)
    except Exception:
        if row.variant != split.default.variant:
            return None
        await Measured(split, units).write_failures(services.recorder, [row], began // 1000)
        raise
    now = time.time_ns()
    model = split.models[row.variant] or split.default
    ids = [prediction_id(split.route.model, now)]
    labels = AnswerLabels(row.variant, ids, began // 1000, (now - began) // 1000, rows.explained)
    answers, predictions = model.label(rows.entities, inputs, decisions, labels)
    marks = answer_marks(split, row.variant, answers[0].missing, predictions[0], failed=False)
    if row.unit is not None and not units.new_marks(row.unit, marks):
        await services.recorder.record_predictions(predictions)
        return answers
    measured = Measured(split, units)
    measured.add(row, marks, predictions[0].prediction_id, predictions[0].requested_at)
    await services.recorder.record_answers(predictions, measured.rows)
    measured.remember()
    return answers


async def _inputs(
    services: Services, split: TrafficSplit, rows: RequestRows, variant: str, began: int
) -> list[ModelInput]:
    inputs = await read_inputs(services, split.models[variant] or split.default, rows, began)
    pick = split.pickers.get(variant) if rows.values is not None else None
    return [ModelInput(pick(row.values)) for row in inputs] if pick else inputs


def _decide(services: Services, split: TrafficSplit, variant: str, seen: Sequence[ModelInput]) -> list[Decision]:
    if variant != split.default.variant:
        return services.trials.decide(split, variant, seen)
    return split.default.artifact.answer([row.values for row in seen])
