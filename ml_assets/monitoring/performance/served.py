"""Answers that were served, each with the truth that is known of it: groups of their own in the performance report.

The truth of an answer is its outcome of kind `label`, the one observed last; without one it is the folder's own label
of the entity at the as-of date of its features, once that is mature. One answer for each entity, as-of date, version
and variant counts, the first, so that a client that asks often weighs no more. Nobody knows whether two answers to
requests that named no entity are about one: each of them counts, by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ml_assets.events.rows import Outcome, Prediction
from ml_assets.features.store import refresh
from ml_assets.monitoring.log.take import table
from ml_assets.monitoring.performance.baseline import LabelledScores, entities
from ml_assets.storage.duck import quote
from ml_assets.storage.lake import Lake, fingerprint_of
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.reach import known_until

if TYPE_CHECKING:
    import duckdb

COVERED = 0.9
"""The share of a date's answers with an outcome from which on it is measured before its labels are mature.

What turns out early is one-sided: who cancels is known at once, who stays only when the horizon has passed.
"""

_ANSWERS = """
    CREATE TEMP VIEW answers AS SELECT day, entity, nameless, version, variant, bool_or(stored) AS stored,
        first(score ORDER BY requested_at, prediction_id) AS score,
        first(predicted ORDER BY requested_at, prediction_id) AS predicted,
        last(y ORDER BY observed_at, value) FILTER (y IS NOT NULL) AS said
    FROM (
        SELECT * REPLACE (nullif(entity, '') AS entity), if(coalesce(entity, '') = '', prediction_id, NULL) AS nameless,
        coalesce(as_of, due) AS day, as_of IS NOT NULL AS stored FROM log
    ) LEFT JOIN (
        SELECT prediction_id, observed_at, value, {truth} AS y FROM outcomes JOIN log USING (prediction_id)
        WHERE kind = 'label' AND {truth} IN (0, 1)
    ) USING (prediction_id) GROUP BY ALL
"""


@dataclass(frozen=True)
class ServedAnswers:
    """Answers of the last as-of dates whose truth is known.

    Args:
        rows: `day`, `entity` (null where the request named none), `unit` (the entity, or the answer itself where there
            is none: what is independent of the others), `version`, `variant`, `score` and `label` (0 or 1; of several
            classes 1 where the named one was right), in one order.
        notes: what was left out, and why.
        fingerprint: of both.
    """

    rows: pa.Table
    notes: tuple[str, ...] = ()
    fingerprint: int = 0

    def groups(self) -> dict[tuple[int, str], "ServedGroup"]:
        """The rows of each version and variant."""
        keys = zip(*(self.rows[name].to_pylist() for name in ("version", "variant")), strict=True)
        names = np.array([f"{version} {variant}" for version, variant in keys], dtype=object)
        groups = {}
        for name in sorted(set(names)):
            version, _, variant = name.partition(" ")
            groups[int(version), variant] = ServedGroup.of(self.rows.filter(pa.array(names == name)))
        return groups


@dataclass(frozen=True)
class ServedGroup:
    """Scored answers, and the as-of date of each, [n]."""

    scored: LabelledScores
    days: Sequence[date]

    @classmethod
    def of(cls, rows: pa.Table) -> "ServedGroup":
        """Of some rows."""
        scored = LabelledScores(np.asarray(rows["label"]), np.asarray(rows["score"]), entities(rows["unit"]))
        return cls(scored, rows["day"].to_pylist())

    def since(self, first: date) -> "ServedGroup":
        """The answers of as-of dates from `first` on."""
        recent = np.array([day >= first for day in self.days], dtype=np.bool_)
        return ServedGroup(self.scored.at(recent), [day for day in self.days if day >= first])


def answers(lake: Lake, folder: ModelDefinition, window: int, as_of: date, *, workers: int = 2) -> ServedAnswers:
    """The answers of the last `window` as-of dates whose truth is known, as far as it is known at `as_of`.

    Args:
        lake: where the log is.
        folder: the model.
        window: how many as-of dates.
        as_of: `T`.
        workers: as-of dates computed side by side.
    """
    log = table(folder.name, Prediction)
    if lake.version(log) is None:
        return ServedAnswers(_empty())
    until = known_until(lake, folder, as_of)
    days_answered = _days(lake, folder, _first(folder, window, until), as_of)
    mature = {row["day"] for row in days_answered if row["day"] + folder.spec.label.horizon <= until}
    measurable = [
        row["day"] for row in days_answered if row["day"] in mature or row["said"] >= COVERED * row["answers"]
    ]
    steps = sorted({folder.spec.cadence.latest(day) for day in measurable})[-window:]
    days = [day for day in measurable if folder.spec.cadence.latest(day) in steps]
    rows = _joined(lake, folder, days, sorted(mature & set(days)), workers) if days else _empty()
    total = sum(row["answers"] for row in days_answered if row["day"] in days)
    early = [row for row in days_answered if row["said"] and row["day"] not in measurable]
    notes = tuple(_notes(len(rows), total, early))
    return ServedAnswers(rows, notes, fingerprint_of(_hash(lake, rows), notes))


def _hash(lake: Lake, rows: pa.Table) -> str:
    """Of rows that all differ, in any order."""
    with lake.connect() as connection:
        connection.register("served", rows)
        # Of text: the hash of a struct is an exclusive or of its parts, so even numbers of changes would cancel out.
        digest = connection.sql("SELECT sum(hash(served::VARCHAR))::VARCHAR AS hash FROM served").to_arrow_table()
        connection.unregister("served")
    return str(digest["hash"][0].as_py())


def _first(folder: ModelDefinition, window: int, until: date) -> date:
    """From which date on answers are looked at: the window that ends where labels are mature."""
    cadence = folder.spec.cadence
    return ([cadence.start, *cadence.dates(until - folder.spec.label.horizon)][-window:])[0]


def _notes(rows: int, total: int, early: Sequence[Mapping[str, Any]]) -> list[str]:
    notes = [f"{total - rows} of {total} served answers have no truth yet: left out"] if rows < total else []
    if early:
        count, dates = sum(row["said"] for row in early), ", ".join(str(row["day"]) for row in early)
        notes.append(
            f"{count} outcomes of answers of {dates} wait: until the labels of a date are mature, it is measured only "
            f"where {COVERED:.0%} of its answers have an outcome, for what turns out early is one-sided"
        )
    return notes


def _days(lake: Lake, folder: ModelDefinition, first: date, last: date) -> list[dict[str, Any]]:
    """How many answers each as-of date has, and how many of them an outcome."""
    with lake.open(l=table(folder.name, Prediction)) as connection:
        _open(lake, folder, connection, "coalesce(as_of, due) BETWEEN $first AND $last", {"first": first, "last": last})
        rows: list[dict[str, Any]] = (
            connection.sql(
                "SELECT day, count(*) AS answers, count(said) AS said FROM answers GROUP BY day ORDER BY day"
            )
            .to_arrow_table()
            .to_pylist()
        )
    return rows


def _open(
    lake: Lake,
    folder: ModelDefinition,
    connection: "duckdb.DuckDBPyConnection",
    where: str,
    parameters: Mapping[str, object],
) -> None:
    """The view `answers` of some answers, on a connection with the log as `l`."""
    columns = "prediction_id, entity, version, variant, as_of, due, score, predicted, requested_at"
    connection.execute(f"CREATE TEMP TABLE log AS SELECT {columns} FROM l WHERE {where}", parameters)
    outcomes = table(folder.name, Outcome)
    nothing = "(SELECT '' AS prediction_id, '' AS kind, '' AS value, NULL::TIMESTAMP AS observed_at WHERE false)"
    source = nothing if lake.version(outcomes) is None else lake.relation(connection, outcomes)
    connection.execute(f"CREATE TEMP VIEW outcomes AS SELECT * FROM {source}")
    connection.execute(_ANSWERS.format(truth=folder.task.reviewed_sql("value", "predicted")))


def _joined(
    lake: Lake, folder: ModelDefinition, days: Sequence[date], mature: Sequence[date], workers: int
) -> pa.Table:
    refresh(lake, folder.labels, mature, workers=workers)
    with lake.open(l=table(folder.name, Prediction)) as connection:
        _open(lake, folder, connection, "list_contains($days, coalesce(as_of, due))", {"days": list(days)})
        if mature:
            labels, entity = lake.relation(connection, folder.labels.kept), quote(folder.spec.entity)
            labelled = f"SELECT as_of AS day, {entity}::VARCHAR AS entity, label::VARCHAR AS label FROM {labels}"
        else:
            labelled = "SELECT NULL::DATE AS day, '' AS entity, '' AS label WHERE false"
        label = folder.task.outcome_sql("t.label", "a.predicted")
        rows: pa.Table = connection.sql(
            "SELECT a.day, a.entity, coalesce('entity ' || a.entity, a.nameless) AS unit, a.version, a.variant, "
            f"a.score, coalesce(a.said, {label}) AS label "
            f"FROM answers AS a LEFT JOIN ({labelled}) AS t ON a.stored AND t.day = a.day AND t.entity = a.entity "
            f"AND list_contains($mature, a.day) WHERE coalesce(a.said, {label}) IS NOT NULL ORDER BY ALL",
            params={"mature": list(mature)},
        ).to_arrow_table()
    return rows


def _empty() -> pa.Table:
    kinds = {"day": pa.date32(), **dict.fromkeys(("entity", "unit", "version", "variant"), pa.string())}
    return pa.schema([*kinds.items(), ("score", pa.float64()), ("label", pa.float64())]).empty_table()
