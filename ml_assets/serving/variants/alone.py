"""The request of one row, which most are: answered without a thread, and with hardly more work than without a split."""

import time
from typing import NamedTuple

from ml_assets.events.rows import Prediction, prediction_id
from ml_assets.serving.models.model import Answer, AnswerLabels, ModelInput
from ml_assets.serving.models.split import TrafficSplit
from ml_assets.serving.request import RequestRows
from ml_assets.serving.services import Services
from ml_assets.serving.variants.measures import AssignedRow, Measured, MeasuredUnits, answer_marks, is_drawn
from ml_assets.serving.variants.rows import read_inputs


class LoneRow(NamedTuple):
    """The only row of a request, assigned.

    Args:
        unit: that is counted.
        variant: that was assigned.
        units: of the stage.
    """

    unit: str
    variant: str
    units: MeasuredUnits


def assign_alone(services: Services, split: TrafficSplit, rows: RequestRows) -> LoneRow | None:
    """The row of a request, assigned; None where there is more to it.

    There is where its unit has no name or is the request, where it holds a document, where not every variant reads what
    the default one does, where another one answers in shadow, and where its variant still needs a thread.
    """
    if len(rows.entities) != 1 or not split.alone[rows.values is not None]:
        return None
    unit = rows.entities[0]
    if unit is None:
        return None
    units = services.measures.units(split)
    if split.route.shadow and is_drawn(split, units, unit):
        return None
    variant = units.variant(split, unit)
    if variant != split.default.variant and not services.trials.is_proven(split, variant):
        return None
    return LoneRow(unit, variant, units)


async def answer_alone(
    services: Services, split: TrafficSplit, rows: RequestRows, row: LoneRow, began: int
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
    unit, variant, units = row
    default = split.default
    inputs = await read_inputs(services, split.models[variant] or default, rows, began)
    try:
        if variant == default.variant:
            answers, predictions = default.answers(rows.entities, inputs, began, rows.explained)
        else:
            answers, predictions = _answer_by_other(services, split, rows, variant, inputs, began)
    except Exception:
        if variant != default.variant:
            return None
        await Measured(split, units).write_failures(services.recorder, [AssignedRow(unit, variant)], began // 1000)
        raise
    marks = answer_marks(split, variant, answers[0].missing, predictions[0], failed=False)
    if not units.new_marks(unit, marks):
        await services.recorder.record_predictions(predictions)
        return answers
    measured = Measured(split, units)
    measured.add(AssignedRow(unit, variant), marks, predictions[0].prediction_id, predictions[0].requested_at)
    await services.recorder.record_answers(predictions, measured.rows)
    measured.remember()
    return answers


def _answer_by_other(
    services: Services, split: TrafficSplit, rows: RequestRows, variant: str, inputs: list[ModelInput], began: int
) -> tuple[list[Answer], list[Prediction]]:
    """As of `ServedModel.answers`, by a variant that is proven, or whatever it raises."""
    pick = split.pickers[variant] if rows.values is not None else None
    if pick is not None:
        inputs = [ModelInput(pick(each.values)) for each in inputs]
    decisions = services.trials.decide(split, variant, inputs)
    now = time.time_ns()
    model = split.models[variant] or split.default
    ids, took = [prediction_id(split.route.model, now)], (now - began) // 1000
    labels = AnswerLabels(variant, ids, began // 1000, took, rows.explained)
    return model.label(rows.entities, inputs, decisions, labels)
