"""The baseline of a rollout: how the champion answered before it, frozen at the start, of which the limits are made."""

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
from sqlalchemy import select

from ml_assets.decisions.route import CHAMPION
from ml_assets.events.rows import Kind, Prediction, Traffic
from ml_assets.events.schema import EVENTS
from ml_assets.events.store import EventStore
from ml_assets.monitoring.log.take import table, taken_until
from ml_assets.storage.duck import quote
from ml_assets.storage.lake import Lake
from ml_assets.storage.manifest import Manifest
from ml_assets.storage.registry import Registry, Version
from ml_assets.storage.tables import ModelTables
from ml_assets.training.release import ledger as champions

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

REACH = timedelta(days=7)
"""How far back the champion's answers are looked at."""
FEWEST = 100
"""Of fewer answers nothing can be said."""


@dataclass(frozen=True)
class RolloutBaseline:
    """How the champion answered before the rollout.

    Args:
        answers: that it gave.
        error_rate: the share of its requests that failed; above 0.
        missing_rate: the share of its units with an answer that lacked a feature which nearly all rows of its training
            had; above 0.
        latency: its p50, p95 and p99, microseconds.
        disagreement: the share of the candidate's test rows on which the two versions decide differently; None: it is
            not known.
        shadow_after: how long the previous champion answers in shadow after a promotion, seconds.
        entities: that the model has scored last, who may be asked about; 0: not known.
    """

    answers: int
    error_rate: float
    missing_rate: float
    latency: tuple[float, ...]
    disagreement: float | None = None
    shadow_after: float = 0.0
    entities: int = 0

    def to_json(self) -> str:
        """As the ledger keeps it."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str) -> "RolloutBaseline":
        """What `to_json` wrote."""
        return msgspec.json.decode(text, type=cls)


def measure_champion(
    lake: Lake, registry: Registry, store: EventStore, version: Version, *, unit: str, now: datetime
) -> RolloutBaseline:
    """The champion's answers of the last seven days, since it became the champion.

    A rate of which no event was seen is half an event of one answer more than there were: of nothing no ratio is made.

    Args:
        lake: where the log is.
        registry: where its manifest is, which says what rows of its training lacked.
        store: where its last rows wait.
        version: the champion.
        unit: what is counted: `entity` or `request`.
        now: naive UTC.

    Raises:
        EventStoreError: the event store does not answer.
        RegistryError: the version was never released.
        ManifestError: its manifest cannot be read.
    """
    model, expected = version.model, Manifest.from_json(registry.manifest(version)).expected
    since = _begin(lake, model, version.number, now)
    answers = _answers(lake, store, version, expected, unit, since)
    requests = count_requests(lake, store, model, since)
    # Servers count requests by the minute: until the first minutes are written, the answers stand for them.
    asked = requests.answers if requests.answers >= FEWEST else max(requests.answers, answers["answers"])
    return RolloutBaseline(
        answers["answers"],
        _rate(requests.errors, asked),
        _rate(answers["lacking"], answers["units"]),
        tuple(answers["latency"] or ()),
    )


@dataclass(frozen=True)
class RequestCounts:
    """The requests that a variant answered, and those of them that failed by its own fault."""

    answers: int
    errors: int


def count_requests(lake: Lake, store: EventStore, model: str, since: datetime) -> RequestCounts:
    """The champion's requests since a moment, as far as servers have counted them: they do so minute by minute.

    Args:
        lake: where the counts are.
        store: where the last ones wait.
        model: the model's folder.
        since: naive UTC.

    Raises:
        EventStoreError: the event store does not answer.
    """
    columns = ("since", "requests", "errors", "variant")
    with _open(lake, store, model, Traffic, columns) as connection:
        row = _one(
            connection,
            "SELECT coalesce(sum(requests), 0)::BIGINT AS requests, coalesce(sum(errors), 0)::BIGINT AS errors "
            "FROM log WHERE since >= $since AND variant = $variant",
            {"since": since, "variant": CHAMPION},
        )
    return RequestCounts(row["requests"], row["errors"])


def count_entities(lake: Lake, model: str) -> int:
    """The entities that a model has scored last; 0 where it has scored nobody."""
    table = ModelTables(model).predictions
    if lake.version(table) is None:
        return 0
    rows = lake.query("SELECT count(*) AS entities FROM p WHERE as_of = (SELECT max(as_of) FROM p)", p=table)
    return int(rows["entities"][0].as_py())


def _begin(lake: Lake, model: str, version: int, now: datetime) -> datetime:
    """From when on answers are the champion's of today."""
    last = champions(model).last(lake)
    became = last.decided_at if last is not None and last.version == version else now - REACH
    return max(now - REACH, became)


def _rate(events: int, units: int) -> float:
    return max(events, 0.5) / (units + 1)


def _answers(
    lake: Lake, store: EventStore, version: Version, expected: frozenset[str], unit: str, since: datetime
) -> dict[str, Any]:
    columns = ("prediction_id", "version", "variant", "entity", "missing", "requested_at", "latency")
    name = "coalesce(nullif(entity, ''), prediction_id)" if unit == "entity" else "prediction_id"
    lacks = "list_has_any(from_json(missing, '[\"VARCHAR\"]'), $expected)"
    with _open(lake, store, version.model, Prediction, columns) as connection:
        return _one(
            connection,
            f"SELECT count(*) AS answers, count(DISTINCT {name}) AS units, "
            f"count(DISTINCT {name}) FILTER ({lacks}) AS lacking, "
            "quantile_cont(latency, [0.5, 0.95, 0.99]) AS latency FROM log "
            "WHERE version = $version AND variant = $variant AND requested_at >= $since",
            {"version": str(version.number), "variant": CHAMPION, "since": since, "expected": [*expected] or [""]},
        )


def _one(connection: "duckdb.DuckDBPyConnection", sql: str, parameters: dict[str, object]) -> dict[str, Any]:
    rows = connection.sql(sql, params=parameters).to_arrow_table().to_pylist()
    return dict(rows[0])


@contextmanager
def _open(
    lake: Lake, store: EventStore, model: str, kind: Kind, columns: Sequence[str]
) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A connection with the view `log`: rows of the lake, and those of the event store that it does not have yet."""
    name, events = table(model, kind), EVENTS[kind].table
    picked = [events.c[column] for column in columns]
    waiting = store.select(
        select(*picked).where(events.c.model == model, events.c.sequence > taken_until(lake, store, model, kind))
    )
    recent = pa.table({column: _typed(column, values) for column, values in _turn(columns, waiting)})
    wanted = ", ".join(map(quote, columns))
    with lake.connect() as connection:
        connection.register("recent", recent)
        log = f"SELECT {wanted} FROM recent"
        if lake.version(name) is not None:
            log += f" UNION ALL SELECT {wanted} FROM {lake.relation(connection, name)}"
        connection.execute(f"CREATE TEMP VIEW log AS {log}")
        yield connection
        connection.unregister("recent")


def _turn(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> list[tuple[str, list[Any]]]:
    turned = zip(*rows, strict=True) if rows else ([] for _ in columns)
    return [(name, [*values]) for name, values in zip(columns, turned, strict=True)]


_WHOLE = {"latency", "requests", "errors"}


def _typed(name: str, values: list[Any]) -> pa.Array:
    if name in {"since", "requested_at"}:
        return pa.array(values, pa.int64()).cast(pa.timestamp("us"))
    return pa.array(values, pa.int64() if name in _WHOLE else pa.string())
