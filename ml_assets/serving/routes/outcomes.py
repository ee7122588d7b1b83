"""`POST /outcomes`: what turned out to be true of predictions, or what users did."""

import math
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec

from ml_assets.events.rows import LONG, EventRefusedError, Outcome, outcome
from ml_assets.events.unit_outcomes import unit_outcome_id
from ml_assets.serving.content import read_json_content
from ml_assets.serving.http import Receive
from ml_assets.serving.json_body import Decoder
from ml_assets.serving.models.model import ServedModel
from ml_assets.serving.problem import Problem
from ml_assets.serving.routes.assignment import model_of_experiment
from ml_assets.serving.services import Services

ROWS = 1000
"""Outcomes that a request may hold."""

AHEAD = timedelta(minutes=5)
"""How far a client's clock may be ahead of this server's."""

_NO_NUL = r"^[^\x00]*$"  # which Postgres keeps in no text
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=_NO_NUL)]
_Unit = Annotated[str, msgspec.Meta(min_length=1, max_length=LONG, pattern=_NO_NUL)]
_Source = Annotated[str, msgspec.Meta(max_length=100, pattern=_NO_NUL)]


class Said(msgspec.Struct, forbid_unknown_fields=True):
    """An outcome as a client sends it, of an answer, or of a unit of an experiment.

    Args:
        value: the truth: a number, true or false, or a word. Of kind `label`, what the model predicts: 0, 1, false or
            true; of several classes, one of them.
        observed_at: when it became true, with a time zone, not in the future. The latest is in force, whatever comes
            last; the same said again changes nothing.
        prediction_id: of the answer.
        experiment: of the unit, where no answer of a model is known.
        unit: that the experiment assigned.
        kind: of what: `label` is the truth that the model predicts.
        source: who says so; two sources do not correct each other.
    """

    value: float | bool | Annotated[str, msgspec.Meta(max_length=300)]
    observed_at: Annotated[datetime, msgspec.Meta(tz=True)]
    prediction_id: _Name | None = None
    experiment: _Name | None = None
    unit: _Unit | None = None
    kind: _Name = "label"
    source: _Source = ""


class Outcomes(msgspec.Struct, forbid_unknown_fields=True):
    """Several of them."""

    outcomes: Annotated[list[Said], msgspec.Meta(min_length=1, max_length=ROWS)]


class Accepted(msgspec.Struct, forbid_unknown_fields=True):
    """How many outcomes were recorded."""

    accepted: int


_DECODER: Decoder[Outcomes] = Decoder(Outcomes, "see POST /outcomes in /docs; observed_at is RFC 3339 with a time zone")


async def outcomes(services: Services, scope: Any, receive: Receive) -> bytes:  # noqa: ANN401 - of ASGI
    """`{"accepted": n}` once all of them are recorded.

    Raises:
        Problem: they are not.
        GoneError: nobody waits any more.
    """
    _, body = await read_json_content(scope, receive)
    reports = _DECODER.decode(body).outcomes
    now = time.time_ns() // 1000
    await services.recorder.record([_row(services, report, i, now) for i, report in enumerate(reports)])
    return msgspec.json.encode(Accepted(len(reports)))


def _row(services: Services, report: Said, number: int, now: int) -> Outcome:
    field = f"$.outcomes[{number}]"
    try:
        value = report.value if isinstance(report.value, str) else float(report.value)
        row = outcome(
            _answer(services, report, field), report.kind, value, source=report.source, received_at=now,
            observed_at=_observed(report.observed_at, now, f"{field}.observed_at"),
        )  # fmt: skip
    except EventRefusedError as error:
        number_too = isinstance(report.value, float) and not math.isfinite(report.value)
        name = "value" if number_too else "prediction_id"
        raise Problem(
            422, "invalid-field", str(error), "send the prediction_id of an answer, and a value that is finite",
            field=f"{field}.{name}", value=getattr(report, name),
        ) from None  # fmt: skip
    if len(row.value) > 3 * LONG:
        raise Problem(
            422, "invalid-field", f"the value has {len(row.value)} characters as JSON, at most {3 * LONG} are kept",
            "send a shorter word", field=f"{field}.value", value=report.value,
        )  # fmt: skip
    model = services.model(row.model)
    if report.kind == "label":
        _require_label(model, report.value, f"{field}.value")
    return row


def _answer(services: Services, report: Said, field: str) -> str:
    """The id of the answer, or the one that a unit of an experiment has."""
    of_unit = report.experiment is not None and report.unit is not None
    if (report.prediction_id is None) != of_unit or (report.experiment is None) != (report.unit is None):
        raise Problem(
            422, "invalid-field", "an outcome is of an answer, or of a unit of an experiment",
            "send prediction_id, or experiment and unit", field=f"{field}.prediction_id", value=report.prediction_id,
        )  # fmt: skip
    if report.experiment is None or report.unit is None:
        return report.prediction_id or ""
    return unit_outcome_id(model_of_experiment(services, report.experiment), report.experiment, report.unit)


def _require_label(model: ServedModel, value: float | bool | str, field: str) -> None:
    """Refuse a truth that no answer of the model can be compared with: it would be left out of every report."""
    classes = model.manifest.classes
    if value in classes if classes else not isinstance(value, str) and value in {0, 1}:
        return
    labels = f"one of {', '.join(classes)}" if classes else "0, 1, false or true"
    raise Problem(
        422, "invalid-field", f"{value!r} is not a label of {model.manifest.model}",
        f"send {labels}; what else is to be known of an answer has another kind than label", field=field, value=value,
    )  # fmt: skip


def _observed(moment: datetime, now: int, field: str) -> int:
    """Microseconds since 1970.

    Raises:
        Problem: it is in the future, and would be in force for ever; or UTC has no such year.
    """
    microseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    ahead = microseconds > now + AHEAD // timedelta(microseconds=1)
    if ahead or microseconds < _FIRST:
        raise Problem(
            422, "invalid-field", f"{moment.isoformat()} is {'in the future' if ahead else 'before the year 1 in UTC'}",
            f"send when it became true; a clock may be {AHEAD.seconds // 60} minutes ahead" if ahead
            else "send when it became true", field=field, value=moment.isoformat(),
        )  # fmt: skip
    return microseconds


_FIRST = (datetime(1, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
