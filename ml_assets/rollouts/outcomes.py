"""Outcomes of an experiment's units: exposures and outcomes of the lake become one value a unit.

The value of a unit is what its outcomes of the primary metric add up to, of each of its answers the one observed last,
within the window after its first exposure; a unit without any has 0. Of kind `label` it is the truth that was observed
last, for a truth does not add up, and a unit without one has no value. `score` is the score of its first answer.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ml_assets.events.exposures import Exposure
from ml_assets.events.rows import Outcome, Prediction
from ml_assets.events.unit_outcomes import unit_outcome_id, unit_outcome_prefix
from ml_assets.monitoring.log.take import table
from ml_assets.rollouts.experiment_ledger import ExperimentStep
from ml_assets.spec.experiment import SCORE, UnitMetricSpec
from ml_assets.storage.duck import quote
from ml_assets.storage.lake import Lake
from ml_assets.storage.tables import ModelTables

if TYPE_CHECKING:
    import duckdb
    from numpy.typing import NDArray

LABEL = "label"
"""The kind of outcome that is the truth which the model predicts."""

_UNITS = """
    CREATE TEMP TABLE units AS SELECT entity, first(variant ORDER BY exposed_at, variant) AS variant,
        min(exposed_at) AS exposed_at, first(prediction_id ORDER BY exposed_at, variant) AS prediction_id,
        count(DISTINCT variant) AS variants
    FROM e WHERE experiment = $experiment GROUP BY entity ORDER BY entity
"""
# Answers of before a unit was exposed are not those of its variant.
_ANSWERS = """
    CREATE TEMP TABLE answers AS SELECT prediction_id, entity, min(asked_at) AS asked_at FROM (
        SELECT prediction_id, entity, exposed_at AS asked_at FROM units
        UNION ALL SELECT ids.prediction_id, entity, exposed_at FROM ids JOIN units USING (entity)
        UNION ALL SELECT p.prediction_id, p.entity, p.requested_at FROM p JOIN units AS u
            ON p.entity = u.entity AND p.requested_at >= u.exposed_at
    ) GROUP BY ALL
"""
_TOLD = """
    CREATE OR REPLACE TEMP TABLE told AS SELECT a.prediction_id, a.entity, o.observed_at,
        TRY_CAST(o.value AS DOUBLE) AS value, o.observed_at < a.asked_at AS early,
        o.observed_at - u.exposed_at AS age, o.received_at, u.exposed_at + $matures AS counted_at
    FROM o JOIN answers AS a USING (prediction_id) JOIN units AS u ON u.entity = a.entity WHERE o.kind = $kind
"""
_IN_FORCE = """
    CREATE OR REPLACE TEMP TABLE in_force AS SELECT prediction_id, entity,
        last(value ORDER BY observed_at, value) AS value, max(observed_at) AS observed_at,
        last(age ORDER BY observed_at, value) AS age
    FROM told WHERE value IS NOT NULL AND NOT early AND age <= $window GROUP BY ALL
"""
_VALUES = """
    SELECT u.entity, u.variant, u.exposed_at, u.variants, s.value, c.covariate
    FROM units AS u LEFT JOIN ({values}) AS s USING (entity) LEFT JOIN ({covariates}) AS c USING (entity)
    ORDER BY u.entity
"""
_SUM = "SELECT entity, sum(value) AS value FROM in_force GROUP BY entity"
_LAST = "SELECT entity, last(value ORDER BY observed_at, prediction_id) AS value FROM in_force GROUP BY entity"
_SCORES = "SELECT u.entity, any_value(p.score) AS value FROM units AS u JOIN p USING (prediction_id) GROUP BY u.entity"
_DAYS = """
    SELECT u.variant, datediff('second', u.exposed_at, u.exposed_at + f.age) // 86400 AS day, u.entity,
        sum(f.value) AS value
    FROM in_force AS f JOIN units AS u USING (entity) WHERE u.variants = 1 AND u.exposed_at <= $mature
    GROUP BY ALL ORDER BY ALL
"""
# A fallback keeps the name of the variant that failed; these are of servers that do not split.
_STRAYED = """
    SELECT count(*) AS answers,
        count(*) FILTER (p.variant <> u.variant AND p.version <> $versions[list_position($variants, u.variant)])
            AS strayed
    FROM units AS u JOIN p ON p.entity = u.entity AND p.requested_at BETWEEN u.exposed_at AND $ends
    WHERE u.variant <> $variants[1] AND list_contains($variants, u.variant)
"""
_NO_COVARIATES = "SELECT NULL::VARCHAR AS entity, NULL::DOUBLE AS covariate WHERE false"
_COVARIATES = """
    SELECT u.entity, last(b.score ORDER BY b.as_of) AS covariate FROM units AS u JOIN b
        ON b.{entity}::VARCHAR = u.entity AND b.as_of <= u.exposed_at::DATE GROUP BY u.entity
"""
_FAULTS = """
    SELECT count(*) AS told, count(*) FILTER (early) AS early, count(*) FILTER (value IS NULL) AS words,
        count(*) FILTER (NOT early AND value IS NOT NULL AND age <= $window)
            - (SELECT count(*) FROM in_force) AS repeated,
        (SELECT count(*) FROM o WHERE kind = $kind AND starts_with(prediction_id, $prefix)
            AND prediction_id NOT IN (SELECT prediction_id FROM ids)) AS unexposed,
        (SELECT count(*) FROM o JOIN answers USING (prediction_id) WHERE kind = $kind AND received_at > $latest)
            AS ahead,
        count(*) FILTER (NOT early AND age <= $window AND received_at > counted_at) AS late
    FROM told
"""
_NOTHING = {
    Prediction: "prediction_id: VARCHAR, entity: VARCHAR, version: VARCHAR, variant: VARCHAR, score: DOUBLE, "
    "requested_at: TIMESTAMP",
    Outcome: "prediction_id: VARCHAR, kind: VARCHAR, value: VARCHAR, observed_at: TIMESTAMP, received_at: TIMESTAMP",
    Exposure: "experiment: VARCHAR, entity: VARCHAR, variant: VARCHAR, prediction_id: VARCHAR, exposed_at: TIMESTAMP",
}
CLOCK = timedelta(seconds=60)
"""How far the clocks of servers and of the graph may differ."""


@dataclass(frozen=True)
class OutcomeCounts:
    """Outcomes of the primary metric.

    Args:
        told: all of the experiment's answers.
        early: observed before the answer that they are about, or before the unit was exposed.
        words: whose value is not a number.
        repeated: said again of the same answer within the window: of those only the last one counts.
        unexposed: of units that were never exposed.
        late: received when the unit was counted already.
        ahead: received by a server whose clock is ahead of the graph's.
    """

    told: int = 0
    early: int = 0
    words: int = 0
    repeated: int = 0
    unexposed: int = 0
    late: int = 0
    ahead: int = 0


@dataclass(frozen=True)
class MetricValues:
    """What is known of one metric.

    Args:
        value: of each unit, [n]; NaN where there is none yet, or never will be.
        outcomes: what was told of them.
    """

    value: "NDArray[np.float64]"
    outcomes: OutcomeCounts


@dataclass(frozen=True)
class ExperimentUnits:
    """Units of an experiment, all arrays [n], by the name of the unit.

    Args:
        variant: by which each was answered first.
        exposed_at: when that was, naive UTC.
        variants: how many variants have answered it; more than one is a fault.
        value: of the primary metric; NaN where there is none yet, or never will be.
        covariate: the champion's last batch score of before the exposure; NaN where there is none.
        outcomes: what was told of them.
        by_day: of units whose window has passed: variant, whole days since the exposure, value that came on that day.
        secondary: what is known of each secondary metric, in the order of the declaration.
        strayed: of the answers to units of other variants than the control, the share that another version gave, under
            another name: by a server that does not follow the experiment.
    """

    variant: "NDArray[np.str_]"
    exposed_at: "NDArray[np.datetime64]"
    variants: "NDArray[np.int64]"
    value: "NDArray[np.float64]"
    covariate: "NDArray[np.float64]"
    outcomes: OutcomeCounts
    by_day: "tuple[NDArray[np.str_], NDArray[np.int64], NDArray[np.float64]]"
    secondary: tuple[MetricValues, ...] = ()
    strayed: float = 0.0


def read_units(lake: Lake, model: str, step: ExperimentStep, now: datetime, *, entity: str) -> ExperimentUnits:
    """The units that were exposed so far, each with its value.

    Args:
        lake: with the log of servers.
        model: the model's folder.
        step: any row of the experiment's ledger.
        now: naive UTC.
        entity: the column of batch predictions that names the entity.
    """
    metric = step.spec.primary
    with lake.connect() as connection:
        _open(lake, model, connection)
        connection.execute(_UNITS, {"experiment": step.experiment})
        connection.register("ids", _ids(connection, model, step.experiment))
        connection.execute(_ANSWERS)
        prefix = unit_outcome_prefix(model, step.experiment)
        others = tuple(_read_values(connection, each, prefix, now)[1] for each in step.spec.secondary)
        covariates = _covariates(lake, model, connection, entity) if metric.cuped else _NO_COVARIATES
        rows, values = _read_values(connection, metric, prefix, now, covariates)
        strayed = _share_strayed(connection, step)
        days = connection.sql(_DAYS, params={"mature": now - metric.matures}).to_arrow_table()
        connection.unregister("ids")
    return replace(_units(rows, days, values, others), strayed=strayed)


def _share_strayed(connection: "duckdb.DuckDBPyConnection", step: ExperimentStep) -> float:
    names, versions = [*step.version_of], [str(version) for version in step.version_of.values()]
    parameters = {"variants": names, "versions": versions, "ends": step.ends}
    (row,) = connection.sql(_STRAYED, params=parameters).to_arrow_table().to_pylist()
    return float(row["strayed"] / max(1, row["answers"]))


def _read_values(
    connection: "duckdb.DuckDBPyConnection",
    metric: UnitMetricSpec,
    prefix: str,
    now: datetime,
    covariates: str = _NO_COVARIATES,
) -> tuple[pa.Table, MetricValues]:
    """The units by their names, each with its value of a metric; `in_force` is that metric's from now on."""
    connection.execute(_TOLD, {"kind": metric.metric, "matures": metric.matures})
    connection.execute(_IN_FORCE, {"window": metric.window})
    values = {SCORE: _SCORES, LABEL: _LAST}.get(metric.metric, _SUM)
    rows = connection.sql(_VALUES.format(values=values, covariates=covariates)).to_arrow_table()
    value = _column(rows, "value", np.float64)
    adds_up = metric.metric not in {SCORE, LABEL}
    outcomes = _count_outcomes(connection, metric, prefix, now)
    return rows, MetricValues(np.nan_to_num(value) if adds_up else value, outcomes)


def _open(lake: Lake, model: str, connection: "duckdb.DuckDBPyConnection") -> None:
    """The log of servers as `p`, `o` and `e`; a table that is not there yet is empty."""
    for name, kind in (("p", Prediction), ("o", Outcome), ("e", Exposure)):
        logged = table(model, kind)
        columns = [part.split(": ") for part in _NOTHING[kind].split(", ")]
        if lake.version(logged) is None:
            nothing = ", ".join(f"NULL::{sql} AS {column}" for column, sql in columns)
            source = f"SELECT {nothing} WHERE false"
        else:
            source = f"SELECT {', '.join(column for column, _ in columns)} FROM {lake.relation(connection, logged)}"
        connection.execute(f"CREATE TEMP VIEW {name} AS {source}")


def _ids(connection: "duckdb.DuckDBPyConnection", model: str, experiment: str) -> pa.Table:
    """The ids under which outcomes of the units themselves are kept."""
    units = connection.sql("SELECT entity FROM units").to_arrow_table()["entity"].to_pylist()
    ids = [unit_outcome_id(model, experiment, unit) for unit in units]
    return pa.table({"entity": pa.array(units, pa.string()), "prediction_id": pa.array(ids, pa.string())})


def _covariates(lake: Lake, model: str, connection: "duckdb.DuckDBPyConnection", entity: str) -> str:
    predictions = ModelTables(model).predictions
    if lake.version(predictions) is None:
        return _NO_COVARIATES
    connection.execute(f"CREATE TEMP VIEW b AS SELECT * FROM {lake.relation(connection, predictions)}")
    return _COVARIATES.format(entity=quote(entity))


def _count_outcomes(
    connection: "duckdb.DuckDBPyConnection", metric: UnitMetricSpec, prefix: str, now: datetime
) -> OutcomeCounts:
    parameters: dict[str, object] = {"window": metric.window, "kind": metric.metric, "latest": now + CLOCK}
    parameters["prefix"] = prefix
    (row,) = connection.sql(_FAULTS, params=parameters).to_arrow_table().to_pylist()
    return OutcomeCounts(**row)


def _units(rows: pa.Table, days: pa.Table, values: MetricValues, others: tuple[MetricValues, ...]) -> ExperimentUnits:
    return ExperimentUnits(
        _column(rows, "variant", np.str_),
        _column(rows, "exposed_at", "datetime64[us]"),
        _column(rows, "variants", np.int64),
        values.value,
        _column(rows, "covariate", np.float64),
        values.outcomes,
        (_column(days, "variant", np.str_), _column(days, "day", np.int64), _column(days, "value", np.float64)),
        others,
    )


def _column(table: pa.Table, name: str, kind: Any) -> Any:  # noqa: ANN401 - of numpy
    return np.asarray(table[name].to_numpy(zero_copy_only=False), dtype=kind)
