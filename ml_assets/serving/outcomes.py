"""`POST /outcomes`: what turned out to be true of predictions, or what users did."""

import time
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from ml_assets.serving.event_tables import LONG, EventRefusedError, Outcome, outcome
from ml_assets.serving.http import Receive, body_of
from ml_assets.serving.problem import Problem
from ml_assets.serving.request import malformed
from ml_assets.serving.worker import Worker

ROWS = 1000
"""Outcomes that a request may hold."""

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Said(msgspec.Struct, forbid_unknown_fields=True):
    """An outcome as a client sends it.

    Args:
        prediction_id: of the answer.
        value: the truth: a number, true or false, or a word.
        observed_at: when it became true, with a time zone. The latest is in force, whatever comes last; the same said
            again changes nothing.
        kind: of what: `label` is the truth that the model predicts.
        source: who says so; two sources do not correct each other.
    """

    prediction_id: _Name
    value: float | bool | Annotated[str, msgspec.Meta(max_length=300)]
    observed_at: Annotated[datetime, msgspec.Meta(tz=True)]
    kind: _Name = "label"
    source: Annotated[str, msgspec.Meta(max_length=100)] = ""


class Outcomes(msgspec.Struct, forbid_unknown_fields=True):
    """Several of them."""

    outcomes: Annotated[list[Said], msgspec.Meta(min_length=1, max_length=ROWS)]


_DECODER = msgspec.json.Decoder(Outcomes)


async def outcomes(worker: Worker, scope: Any, receive: Receive) -> bytes:  # noqa: ANN401 - of ASGI
    """`{"accepted": n}` once all of them are recorded.

    Raises:
        Problem: they are not.
        GoneError: nobody waits any more.
    """
    worker.guard.require(scope, "outcomes")
    body = await body_of(receive)
    try:
        found = _DECODER.decode(body).outcomes
    except msgspec.ValidationError as error:
        raise Problem(
            422, "invalid-field", str(error), "see POST /outcomes in /docs; observed_at is RFC 3339 with a time zone"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise malformed(error) from None
    now = time.time_ns() // 1000
    await worker.record([_row(worker, said, i, now) for i, said in enumerate(found)])
    return msgspec.json.encode({"accepted": len(found)})


def _row(worker: Worker, said: Said, number: int, now: int) -> Outcome:
    try:
        value = said.value if isinstance(said.value, str) else float(said.value)
        made = outcome(
            said.prediction_id, said.kind, value, source=said.source, received_at=now,
            observed_at=_microseconds(said.observed_at),
        )  # fmt: skip
    except EventRefusedError as error:
        raise Problem(
            422, "invalid-field", str(error), "send the prediction_id of an answer",
            field=f"$.outcomes[{number}]", value=said.prediction_id,
        ) from None  # fmt: skip
    if len(made.value) > 3 * LONG:
        raise Problem(
            422, "invalid-field", f"the value has {len(made.value)} characters as JSON, at most {3 * LONG} are kept",
            "send a shorter word", field=f"$.outcomes[{number}].value",
        )  # fmt: skip
    worker.model(made.model)
    return made


def _microseconds(moment: datetime) -> int:
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
