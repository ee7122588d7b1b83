"""Is what the server saw what the offline store says? Logged feature vectors against the point-in-time join."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.events.rows import Prediction
from ml_assets.monitoring.log.take import table
from ml_assets.storage.duck import literal, quote
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.frame import FeatureColumns
from ml_assets.training.record import record
from ml_assets.training.score import feature_rows

if TYPE_CHECKING:
    import duckdb

DATES = 2
"""The last as-of dates that are compared: what is older was compared before."""

_EXAMPLES = 5
_MOST = 20_000  # answers of a version, the last ones: a share of 99 % is then known to 0.1 %


@dataclass(frozen=True)
class FeatureMismatch:
    """A value that the server saw, and what the offline store says of the same entity at the same as-of date.

    `offline` is `not in the population` where the entity is none of its members.
    """

    prediction_id: str
    entity: str
    as_of: date
    feature: str
    served: str | None
    offline: str | None

    def row(self) -> dict[str, object]:
        """For a table that people read."""
        return {name: "null" if value is None else value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Consistency:
    """How far online and offline agree.

    Args:
        vectors: that were compared: answers from the online store.
        agreed: of them, those in which every feature is the same.
        days: as-of dates of the features.
        examples: of what differs, a feature each.
    """

    vectors: int = 0
    agreed: int = 0
    days: tuple[date, ...] = ()
    examples: tuple[FeatureMismatch, ...] = ()

    @property
    def share(self) -> float | None:
        """Of the vectors, those that agree; None where nothing was served from the online store."""
        return self.agreed / self.vectors if self.vectors else None


def consistency(
    lake: Lake, registry: Registry, folder: ModelDefinition, *, dates: int = DATES, workers: int = 2
) -> Consistency:
    """Compare what was served as of the last `dates` as-of dates, by each version with its own features.

    A number is the same to the precision of a float32, which is what a model sees; no value and no finite number are
    the same. Late rows change what the offline store says of an old date: such a difference is a difference.

    Args:
        lake: where views and the log are.
        registry: where versions are.
        folder: the model.
        dates: as-of dates.
        workers: as-of dates computed side by side.
    """
    parts = [_compare(lake, registry, folder, version, days, workers) for version, days in _served(lake, folder, dates)]
    return Consistency(
        sum(each.vectors for each in parts),
        sum(each.agreed for each in parts),
        tuple(sorted({day for each in parts for day in each.days})),
        tuple(example for each in parts for example in each.examples)[:_EXAMPLES],
    )


def _served(lake: Lake, folder: ModelDefinition, dates: int) -> list[tuple[str, list[date]]]:
    """Version → the last as-of dates at which it answered from the online store."""
    log = table(folder.name, Prediction)
    if lake.version(log) is None:
        return []
    rows = lake.query(
        "WITH served AS (SELECT DISTINCT as_of, version FROM l WHERE as_of IS NOT NULL) "
        "SELECT version, list(as_of ORDER BY as_of) AS days FROM served "
        "WHERE as_of IN (SELECT DISTINCT as_of FROM served ORDER BY as_of DESC LIMIT $dates) GROUP BY ALL ORDER BY ALL",
        {"dates": dates},
        l=log,
    )
    return [(row["version"], row["days"]) for row in rows.to_pylist()]


def _compare(
    lake: Lake, registry: Registry, folder: ModelDefinition, version: str, days: Sequence[date], workers: int
) -> Consistency:
    training = record(registry, registry.version(folder.name, int(version)))
    offline = _offline(
        feature_rows(lake, folder, training, days, workers=workers), folder.spec.entity, training.columns
    )
    with lake.open(l=table(folder.name, Prediction)) as connection:
        connection.register("o", offline)
        listed = ", ".join(f"DATE {literal(day)}" for day in days)
        connection.execute(
            "CREATE TEMP VIEW answers AS SELECT *, "
            f"json_transform(features, {_texts(training.columns)}) AS seen FROM ("
            f"SELECT prediction_id, entity, as_of, requested_at, features FROM l WHERE version = {literal(version)} "
            f"AND as_of IN ({listed}) ORDER BY requested_at DESC LIMIT {_MOST})"
        )
        connection.execute(f"CREATE TEMP TABLE compared AS {_compared(training.columns)}")
        counts = "SELECT count(*) AS vectors, count(*) FILTER (len(differs) = 0) AS agreed FROM compared"
        (count,) = connection.sql(counts).to_arrow_table().to_pylist()
        return Consistency(**count, days=tuple(days), examples=tuple(_examples(connection)))


def _offline(seen: pa.Table, entity: str, columns: FeatureColumns) -> pa.Table:
    """The features of the offline store, as a model sees them: float32 and text."""
    arrays = {"as_of": seen["as_of"], "entity": seen[entity].cast(pa.string())}
    for name in columns.numeric:
        value = seen[name].cast(pa.float32(), safe=False)
        arrays[name] = pc.if_else(pc.is_finite(value), value, pa.scalar(None, pa.float32()))
    arrays |= {name: seen[name].cast(pa.string()) for name in (*columns.categorical, *columns.text)}
    return pa.table([*arrays.values()], names=["as_of", "entity", *(f"feature {name}" for name in columns.all)])


def _compared(columns: FeatureColumns) -> str:
    """Answers with the names of the features that differ, and both values as text."""
    served = {name: _value(name, number=name in columns.numeric) for name in columns.all}
    offline = {name: f"o.{quote(f'feature {name}')}" for name in columns.all}
    differs = [
        f"CASE WHEN o.entity IS NULL OR {served[name]} IS DISTINCT FROM {offline[name]} THEN "
        f"{{'feature': {literal(name)}, 'served': {served[name]}::VARCHAR, 'offline': "
        f"CASE WHEN o.entity IS NULL THEN 'not in the population' ELSE {offline[name]}::VARCHAR END}} END"
        for name in columns.all
    ]
    return (
        "SELECT l.prediction_id, l.entity, l.as_of, l.requested_at, "
        f"list_filter([{', '.join(differs)}], lambda difference: difference IS NOT NULL) AS differs "
        "FROM answers AS l LEFT JOIN o ON o.as_of = l.as_of AND o.entity = l.entity"
    )


def _texts(columns: FeatureColumns) -> str:
    """The structure that DuckDB reads from a logged JSON object: every feature, as text."""
    return literal(json.dumps(dict.fromkeys(columns.all, "VARCHAR")))


def _value(name: str, *, number: bool) -> str:
    """SQL of a logged feature."""
    text = f"l.seen[{literal(name)}]"
    figure = f"CASE {text} WHEN 'true' THEN '1' WHEN 'false' THEN '0' ELSE {text} END"
    return f"TRY_CAST({figure} AS FLOAT)" if number else text


def _examples(connection: "duckdb.DuckDBPyConnection") -> list[FeatureMismatch]:
    rows: list[Mapping[str, Any]] = (
        connection.sql(
            "SELECT prediction_id, entity, as_of, unnest(differs[1]) FROM compared WHERE len(differs) > 0 "
            f"ORDER BY requested_at DESC, prediction_id LIMIT {_EXAMPLES}"
        )
        .to_arrow_table()
        .to_pylist()
    )
    return [FeatureMismatch(**row) for row in rows]
