"""What both versions of a rollout lost on the same rows: answers, their shadows, and the truth that came later.

A unit counts once, at its first shadowed answer. A label is the truth of an entity at an as-of date, so an outcome of
kind `label` is that of all answers to the entity as of that date, whichever of them it names: who reports what became
of a customer need not know which answer was shadowed. The one observed last is in force; without any, the folder's own
label is. What turns out early is one-sided, so a date counts once its labels are mature, or nearly all of its rows have
an outcome. Of an answer that names no entity its own outcomes alone are known.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ml_assets.decisions.means import Moments
from ml_assets.decisions.quality import PairedLosses
from ml_assets.events.exposures import ShadowAnswer
from ml_assets.events.rows import Outcome, Prediction
from ml_assets.features.store import refresh
from ml_assets.monitoring.log.take import table
from ml_assets.monitoring.performance.served import COVERED
from ml_assets.rollouts.ledger import RolloutStep
from ml_assets.spec.rollout import RolloutSpec
from ml_assets.storage.duck import quote
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.evaluation import required_evaluation
from ml_assets.training.reach import known_until

if TYPE_CHECKING:
    import duckdb
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_LEAST = 1e-4
"""Of a probability in a logarithm: one row does not outweigh a thousand."""
_ANSWERS = """
    CREATE TEMP VIEW answers AS
    SELECT prediction_id, coalesce(nullif(entity, ''), prediction_id) AS subject, coalesce(as_of, due) AS day,
        as_of IS NOT NULL AS stored, version, score, predicted FROM l
"""
_PAIRS = """
    CREATE TEMP TABLE pairs AS
    SELECT s.prediction_id, l.subject, l.day, l.stored, if(l.version = $old, l.score, s.score) AS old,
        if(l.version = $old, s.score, l.score) AS new, if(l.version = $old, l.predicted, s.predicted) AS old_predicted,
        if(l.version = $old, s.predicted, l.predicted) AS new_predicted
    FROM s JOIN answers AS l USING (prediction_id)
    WHERE starts_with(s.experiment, $prefix) AND s.error IS NULL
        AND (l.version = $old AND s.version = $new OR l.version = $new AND s.version = $old)
    QUALIFY row_number() OVER (PARTITION BY s.entity ORDER BY s.answered_at, s.prediction_id) = 1
"""
_TOLD = """
    CREATE TEMP TABLE told AS
    SELECT pairs.prediction_id, last({old} ORDER BY observed_at, value) AS old_y,
        last({new} ORDER BY observed_at, value) AS new_y
    FROM o JOIN answers USING (prediction_id)
    JOIN pairs ON pairs.subject = answers.subject AND pairs.day = answers.day
    WHERE kind = 'label' AND {old} IN (0, 1) AND {new} IN (0, 1) GROUP BY pairs.prediction_id
"""
_ROWS = """
    SELECT p.old, p.new, coalesce(o.old_y, {old}) AS old_y, coalesce(o.new_y, {new}) AS new_y
    FROM pairs AS p LEFT JOIN told AS o USING (prediction_id)
    LEFT JOIN ({labels}) AS t ON p.stored AND t.day = p.day AND t.entity = p.subject AND list_contains($mature, p.day)
    WHERE list_contains($days, p.day) AND coalesce(o.old_y, {old}) IS NOT NULL ORDER BY p.prediction_id
"""


def compare_losses(
    lake: Lake, registry: Registry, folder: ModelDefinition, step: RolloutStep, as_of: date, *, workers: int = 2
) -> Mapping[str, PairedLosses]:
    """What both versions lost, by each metric that the rollout limits; empty where nothing is known yet.

    Args:
        lake: where answers, shadows and outcomes were taken to.
        registry: where both versions were evaluated, for their thresholds.
        folder: the model.
        step: of the rollout.
        as_of: the date that the loop has reached: labels are known as far as they are then.
        workers: as-of dates computed side by side.
    """
    metrics = [each.metric for each in RolloutSpec.model_validate_json(step.policy).quality]
    log, shadows = table(folder.name, Prediction), table(folder.name, ShadowAnswer)
    if not metrics or lake.version(log) is None or lake.version(shadows) is None:
        return {}
    with _open_pairs(lake, folder, step) as connection:
        days = _count_days(connection)
    if not days:
        return {}
    until = known_until(lake, folder, as_of)
    mature = [row["day"] for row in days if row["day"] + folder.spec.label.horizon <= until]
    chosen = [row["day"] for row in days if row["day"] in mature or row["told"] >= COVERED * row["rows"]]
    refresh(lake, folder.labels, mature, workers=workers)
    with _open_pairs(lake, folder, step) as connection:
        pairs = _read_rows(lake, folder, connection, chosen, mature)
    thresholds = (
        [_threshold(registry, folder, number) for number in (step.control, step.challenger)]
        if "accuracy" in metrics
        else [0.5, 0.5]
    )
    losses = _sum_up(pairs, thresholds)
    return {metric: losses[metric] for metric in metrics if metric in losses}


def _threshold(registry: Registry, folder: ModelDefinition, number: int) -> float:
    """The score from which on acting was cheapest; of several classes a score says which one is right, or none."""
    if folder.task.names_classes:
        return 0.0
    evaluation = required_evaluation(registry, registry.version(folder.name, number)).evaluation
    return folder.task.evaluated_threshold(evaluation)


@contextmanager
def _open_pairs(lake: Lake, folder: ModelDefinition, step: RolloutStep) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A connection with the tables `pairs`, a row for each unit, and `told`, the outcomes that are known of them."""
    outcomes = table(folder.name, Outcome)
    nothing = "(SELECT '' AS prediction_id, '' AS kind, '' AS value, NULL::TIMESTAMP AS observed_at WHERE false)"
    truths = {role: folder.task.reviewed_sql("value", f"{role}_predicted") for role in ("old", "new")}
    versions = {"prefix": f"{step.rollout}/", "old": str(step.control), "new": str(step.challenger)}
    with lake.open(l=table(folder.name, Prediction), s=table(folder.name, ShadowAnswer)) as connection:
        connection.execute(_ANSWERS)
        connection.execute(_PAIRS, versions)
        source = nothing if lake.version(outcomes) is None else lake.relation(connection, outcomes)
        connection.execute(f"CREATE TEMP VIEW o AS SELECT * FROM {source}")
        connection.execute(_TOLD.format(**truths))
        yield connection


def _count_days(connection: "duckdb.DuckDBPyConnection") -> list[dict[str, Any]]:
    sql = (
        "SELECT day, count(*) AS rows, count(old_y) AS told FROM pairs LEFT JOIN told USING (prediction_id) "
        "WHERE day IS NOT NULL GROUP BY day ORDER BY day"
    )
    days: list[dict[str, Any]] = connection.sql(sql).to_arrow_table().to_pylist()
    return days


def _read_rows(
    lake: Lake, folder: ModelDefinition, connection: "duckdb.DuckDBPyConnection", days: Sequence[date],
    mature: Sequence[date],
) -> pa.Table:  # fmt: skip
    labels = "SELECT NULL::DATE AS day, '' AS entity, '' AS label WHERE false"
    if mature:
        source, entity = lake.relation(connection, folder.labels.kept), quote(folder.spec.entity)
        labels = f"SELECT as_of AS day, {entity}::VARCHAR AS entity, label::VARCHAR AS label FROM {source}"
    truths = {role: folder.task.outcome_sql("t.label", f"p.{role}_predicted") for role in ("old", "new")}
    sql = _ROWS.format(labels=labels, **truths)
    rows: pa.Table = connection.sql(sql, params={"days": [*days], "mature": [*mature]}).to_arrow_table()
    return rows.cast(pa.schema([(name, pa.float64()) for name in ("old", "new", "old_y", "new_y")]))


def _sum_up(pairs: pa.Table, thresholds: Sequence[float]) -> dict[str, PairedLosses]:
    """The difference of losses of each row, the new version's minus the old one's, by metric."""
    old, new, old_y, new_y = (np.asarray(pairs[name], dtype=np.float64) for name in ("old", "new", "old_y", "new_y"))
    losses = {
        "log_loss": _log_loss(new, new_y) - _log_loss(old, old_y),
        "brier": (new - new_y) ** 2 - (old - old_y) ** 2,
        "accuracy": _wrong(new, new_y, thresholds[1]) - _wrong(old, old_y, thresholds[0]),
    }
    return {name: _moments(differences) for name, differences in losses.items()} if len(pairs) else {}


def _log_loss(p: "Floats", y: "Floats") -> "Floats":
    safe = np.clip(p, _LEAST, 1 - _LEAST)
    loss: Floats = -(y * np.log(safe) + (1 - y) * np.log1p(-safe))
    return loss


def _wrong(p: "Floats", y: "Floats", threshold: float) -> "Floats":
    wrong: Floats = ((p >= threshold) != (y > 0)).astype(np.float64)
    return wrong


def _moments(differences: "Floats") -> PairedLosses:
    moments = Moments(len(differences), float(differences.sum()), float((differences**2).sum()))
    return PairedLosses(moments, int(np.count_nonzero(differences)))
