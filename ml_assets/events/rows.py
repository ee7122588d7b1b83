"""The rows of the event store: predictions, exposures, failures, shadow answers, outcomes, searches, traffic.

A row is a plain tuple. Each names the model that it is about, because the graph takes each model's rows by themselves.
"""

import json
import math
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from ml_assets.decisions.route import CHAMPION
from ml_assets.errors import MlAssetsError

# Characters of what is part of a key; of any one column, and of those that may be long. Postgres keeps 2,704 bytes of a
# row in an index, and an entity of a megabyte is a mistake.
NAME, LONG = 100, 300
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class EventStoreError(MlAssetsError):
    """The event store did not commit in its declared time: nothing was acknowledged. Say so (503), do not answer."""


class EventRefusedError(EventStoreError):
    """The store works and cannot hold this event, now or later. The events that came with it are not concerned."""


class Prediction(NamedTuple):
    """An answer of a model version, and the features that it saw.

    Args:
        prediction_id: from `prediction_id()`, of the same model; recorded twice, it is there once.
        model: the model's folder.
        version: the version in the registry that answered.
        variant: under which name it answered: `champion`, `challenger`, the arm of an A/B test.
        entity: who or what was scored, at most 300 characters; None where the request did not say.
        as_of: the as-of date of the features, ISO; None where all of them came with the request.
        score: what the model said, finite.
        decision: what follows from it; None where only a score was asked for.
        features: what the model saw, a JSON object.
        missing: a JSON list of the features without a value; None: none.
        stale: a JSON list of the feature views past their TTL; None: none.
        requested_at: microseconds since 1970, UTC.
        latency: microseconds from the request to the score.
        predicted: of several classes the most probable one, of which `score` is the probability; else None.
    """

    prediction_id: str
    model: str
    version: str
    variant: str
    entity: str | None
    as_of: str | None
    score: float
    decision: str | None
    features: str
    missing: str | None
    stale: str | None
    requested_at: int
    latency: int
    predicted: str | None = None


class Outcome(NamedTuple):
    """The truth about a prediction that became known later, or an action of the user. Made by `outcome()`.

    All but `received_at` is its identity: said twice, it is one row. A correction is a row of its own, observed later,
    so rows are only ever added; the one observed last is in force, whatever the order of arrival.

    Args:
        model: the model's folder, which the id names.
        prediction_id: the answer that it is about; it may be known here before its prediction is.
        kind: of what: `label`, `click`, `revenue`.
        source: who says so: two sources do not correct each other.
        value: a JSON number or string, at most 900 characters; names are at most 100.
        observed_at: when it became true, microseconds since 1970, UTC.
        received_at: when it came here, microseconds since 1970, UTC.
    """

    model: str
    prediction_id: str
    kind: str
    source: str
    value: str
    observed_at: int
    received_at: int


class Search(NamedTuple):
    """A search, and the documents that it found.

    Args:
        prediction_id: from `prediction_id()`, of the same model; outcomes such as a click name it.
        model: the model's folder.
        serial: of the state of the index that answered.
        query: as it was sent.
        filters: a JSON object of those that were given.
        hits: a JSON list of the ids of the documents on the page, best first.
        total: documents found in all, or at least.
        requested_at: microseconds since 1970, UTC.
        latency: microseconds from the request to the answer.
    """

    prediction_id: str
    model: str
    serial: int
    query: str
    filters: str
    hits: str
    total: int
    requested_at: int
    latency: int


class Traffic(NamedTuple):
    """The requests that one worker of a server saw of one variant of a model in about a minute.

    Histograms of the same bounds add up.

    Args:
        model: the model's folder.
        worker: a name that no other process has.
        since: from when, microseconds since 1970, UTC.
        until: to when, exclusive.
        requests: all that were answered, whatever the answer.
        refused: those that were the caller's fault (4xx).
        errors: those that were not (5xx).
        latency: a JSON list: how many requests took at most each of `LATENCY_BOUNDS`, and how many took longer.
        variant: under which name the model answered; with the model, the worker and `since` its identity.
    """

    model: str
    worker: str
    since: int
    until: int
    requests: int
    refused: int
    errors: int
    latency: str
    variant: str = CHAMPION


LATENCY_BOUNDS = (0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0)
"""Upper ends of the buckets of `Traffic.latency` in milliseconds, inclusive; the last bucket has none."""


class Event(Protocol):
    """A row of any kind: a NamedTuple that says which model it is about. `events.schema.EVENTS` lists the kinds."""

    @property
    def model(self) -> str:
        """The model's folder."""

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...


Kind = type[Event]


def outcome(
    prediction_id: str, kind: str, value: float | str, *, observed_at: int, received_at: int, source: str = ""
) -> Outcome:
    """Make an outcome whose value is written in one way only: 1, 1.0 and True are the same truth.

    Args:
        prediction_id: of the answer that it is about; it names the model.
        kind: of what: `label`, `click`, `revenue`.
        value: a finite number, or text.
        observed_at: when it became true, microseconds since 1970, UTC.
        received_at: when it came here, microseconds since 1970, UTC.
        source: who says so.

    >>> outcome("churn.01890a5d-ac96-774b-bcce-b302099a8057", "label", True, observed_at=1, received_at=2).value
    '1.0'

    Raises:
        EventRefusedError: the value is not finite, or the id is not one of a prediction.
    """
    if not isinstance(value, str) and not math.isfinite(value):
        raise EventRefusedError(
            f"outcome {kind!r} of {prediction_id!r}: {value} is no truth; leave it out, or send a number"
        )
    json_value = json.dumps(value if isinstance(value, str) else float(value) + 0.0)  # -0.0 + 0.0 is 0.0
    return Outcome(model_of(prediction_id), prediction_id, kind, source, json_value, observed_at, received_at)


def prediction_id(model: str, now: int) -> str:
    """The model and a UUID of version 7 (RFC 9562): sorts by time to a quarter of a microsecond, unique everywhere.

    Args:
        model: the model's folder, so whoever holds the id knows where it belongs.
        now: nanoseconds since 1970, UTC.

    >>> prediction_id("churn", 1_700_000_000_000_000_000)[:24]
    'churn.018bcfe5-6800-7000'
    """
    milliseconds, rest = divmod(now, 1_000_000)
    fraction = (rest << 12) // 1_000_000
    noise = int.from_bytes(os.urandom(8), "big") >> 2
    digits = f"{milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | noise:032x}"
    return f"{model}.{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def model_of(prediction_id: str) -> str:
    """The model that gave an answer.

    Raises:
        EventRefusedError: this is not the id of an answer.
    """
    model, _, number = prediction_id.rpartition(".")
    if not model or len(prediction_id) > NAME or not _ID.fullmatch(number):
        raise EventRefusedError(
            f"prediction_id {prediction_id[:NAME]!r} is none: send back the one of the answer, <model>.<UUID version 7>"
        )
    return model


def group_by_kind(rows: Iterable[Event]) -> dict[Kind, list[Event]]:
    """Group rows by their table, in their order."""
    groups: dict[Kind, list[Event]] = {}
    for row in rows:
        groups.setdefault(type(row), []).append(row)
    return groups
