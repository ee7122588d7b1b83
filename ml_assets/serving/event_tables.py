"""What the event store holds: predictions, exposures and outcomes. A row is a plain tuple: that is what is written."""

import json
import math
import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import (
    REAL,
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from ml_assets.errors import MlAssetsError


class EventStoreError(MlAssetsError):
    """The event store did not commit in its declared time: nothing was acknowledged. Say so (503), do not answer."""


class EventRefusedError(EventStoreError):
    """The store works and cannot hold this event, now or later. The events that came with it are not concerned."""


class Prediction(NamedTuple):
    """What a model version answered, and from what.

    Args:
        prediction_id: from `prediction_id()`; recorded twice, it is there once.
        model: the model's folder.
        version: the version in the registry that answered.
        variant: under which name it answered: `champion`, `challenger`, the arm of an A/B test.
        entity: who or what was scored, at most 300 characters.
        as_of: the as-of date of the features, ISO; None where all of them came with the request.
        score: what the model said, finite.
        decision: what follows from it, or the class; None where only a score was asked for.
        features: what the model saw, a JSON object.
        missing: a JSON list of the feature views without a row for the entity; None: none.
        stale: a JSON list of the feature views past their TTL; None: none.
        requested_at: microseconds since 1970, UTC.
        latency: microseconds from the request to the score.
    """

    prediction_id: str
    model: str
    version: str
    variant: str
    entity: str
    as_of: str | None
    score: float
    decision: str | None
    features: str
    missing: str | None
    stale: str | None
    requested_at: int
    latency: int


class Exposure(NamedTuple):
    """An entity was answered by a variant of an experiment. The first time stands; later ones change nothing.

    Once its row is deleted (`EventStore.retain`), the entity is exposed anew: keep the earliest of what was exported.

    Args:
        experiment: its name, unique in the store.
        entity: who.
        variant: by which arm.
        prediction_id: of the first answer.
        exposed_at: microseconds since 1970, UTC.
    """

    experiment: str
    entity: str
    variant: str
    prediction_id: str
    exposed_at: int


class Outcome(NamedTuple):
    """What later turned out to be true of a prediction, or what the user did. Made by `outcome()`.

    All but `received_at` is its identity: said twice, it is one row. A correction is a row of its own, observed later,
    so rows are only ever added and the order of arrival decides nothing (`current`).

    Args:
        prediction_id: the answer that it is about; it may be known here before its prediction is.
        kind: of what: `label`, `click`, `revenue`.
        source: who says so: two sources do not correct each other.
        value: a JSON number or string, at most 900 characters; names are at most 100.
        observed_at: when it became true, microseconds since 1970, UTC.
        received_at: when it came here, microseconds since 1970, UTC.
    """

    prediction_id: str
    kind: str
    source: str
    value: str
    observed_at: int
    received_at: int


Event = Prediction | Exposure | Outcome
Kind = type[Prediction] | type[Exposure] | type[Outcome]


def outcome(
    prediction_id: str, kind: str, value: float | str, *, observed_at: int, received_at: int, source: str = ""
) -> Outcome:
    """An outcome whose value is written in one way only: 1, 1.0 and True are the same truth.

    Raises:
        EventRefusedError: the value is not finite.
    """
    if not isinstance(value, str) and not math.isfinite(value):
        raise EventRefusedError(
            f"outcome {kind!r} of {prediction_id!r}: {value} is no truth; leave it out, or send a number"
        )
    written = json.dumps(value if isinstance(value, str) else float(value) + 0.0)  # -0.0 + 0.0 is 0.0
    return Outcome(prediction_id, kind, source, written, observed_at, received_at)


def current(outcomes: Iterable[Outcome]) -> dict[tuple[str, str, str], Outcome]:
    """The outcome in force for each prediction, kind and source: the one observed last, whatever came last.

    Of two that were observed in the same microsecond the greater value stands, as text: any rule would do that does not
    look at the order of arrival.
    """
    found: dict[tuple[str, str, str], Outcome] = {}
    for row in outcomes:
        known = found.get(row[:3])
        if known is None or (row.observed_at, row.value) > (known.observed_at, known.value):
            found[row[:3]] = row
    return found


def prediction_id(now: int) -> str:
    """A UUID of version 7 (RFC 9562): sorts by time to a quarter of a microsecond, unique across processes.

    Args:
        now: nanoseconds since 1970, UTC.
    """
    milliseconds, rest = divmod(now, 1_000_000)
    fraction = (rest << 12) // 1_000_000
    noise = int.from_bytes(os.urandom(8), "big") >> 2
    written = f"{milliseconds << 80 | 7 << 76 | fraction << 64 | 2 << 62 | noise:032x}"
    return f"{written[:8]}-{written[8:12]}-{written[12:16]}-{written[16:20]}-{written[20:]}"


METADATA = MetaData()
# Characters of what is part of a key; of any one column, and of those that may be long. Postgres keeps 2,704 bytes of a
# row in an index, and an entity of a megabyte is no entity.
_NAME, _LONG = 100, 300
_WHOLE = BigInteger().with_variant(Integer(), "sqlite")
_REAL: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")


def _table(name: str, *parts: "Column[object] | UniqueConstraint") -> Table:
    """A table in the order of its commits. AUTOINCREMENT never gives out again the number of a row that was deleted."""
    sequence: Column[object] = Column("sequence", _WHOLE, primary_key=True, autoincrement=True)
    return Table(name, METADATA, sequence, *parts, sqlite_autoincrement=True, sqlite_strict=True)


def _text(name: str, *, nullable: bool = False) -> "Column[object]":
    return Column(name, Text, nullable=nullable)


def _key(name: str, most: int = _NAME) -> "Column[object]":
    return Column(name, Text, CheckConstraint(f"length({name}) <= {most}", name=f"{name}_is_short"), nullable=False)


def _whole(name: str) -> "Column[object]":
    return Column(name, _WHOLE, nullable=False)


TABLES: Mapping[Kind, Table] = {
    Prediction: _table(
        "predictions",
        _key("prediction_id"), _text("model"), _text("version"), _text("variant"), _key("entity", _LONG),
        _text("as_of", nullable=True), Column("score", _REAL, nullable=False), _text("decision", nullable=True),
        _text("features"), _text("missing", nullable=True), _text("stale", nullable=True),
        _whole("requested_at"), _whole("latency"), UniqueConstraint("prediction_id"),
    ),
    Exposure: _table(
        "exposures",
        _key("experiment"), _key("entity", _LONG), _key("variant"), _key("prediction_id"), _whole("exposed_at"),
        UniqueConstraint("experiment", "entity", "variant"),
    ),
    Outcome: _table(
        "outcomes",
        _key("prediction_id"), _key("kind"), _key("source"), _key("value", 3 * _LONG), _whole("observed_at"),
        _whole("received_at"), UniqueConstraint("prediction_id", "kind", "source", "observed_at", "value"),
    ),
}  # fmt: skip

# How old a row is, for retention: by the clock of the server that took it.
AGED_BY: Mapping[Kind, str] = {Prediction: "requested_at", Exposure: "exposed_at", Outcome: "received_at"}

# Up to which sequence the graph has each table, for retention. What makes it exactly once is the graph's own record.
EXPORTED = Table(
    "exported",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("sequence", _WHOLE, nullable=False),
    sqlite_strict=True,
)


def insert(kind: Kind, mark: str) -> str:
    """SQL that adds one row and leaves alone what is there; `mark` is how the driver writes a parameter.

    `ON CONFLICT` and not `OR IGNORE`: SQLite's `OR IGNORE` also drops rows that break NOT NULL, without a word.
    """
    columns = kind._fields
    marks = ", ".join([mark] * len(columns))
    return f"INSERT INTO {TABLES[kind].name} ({', '.join(columns)}) VALUES ({marks}) ON CONFLICT DO NOTHING"


def by_kind(rows: Iterable[Event]) -> dict[Kind, list[Event]]:
    """The rows of each table, in their order."""
    found: dict[Kind, list[Event]] = {}
    for row in rows:
        found.setdefault(type(row), []).append(row)
    return found
