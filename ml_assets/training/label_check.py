"""A check that the labels of a training set can be learned from, and the mapping by which they were read."""

from collections.abc import Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.errors import TrainingError, list_values
from ml_assets.spec.label_values import LABEL, WRITTEN, describe_mapping
from ml_assets.storage.duck import quote
from ml_assets.storage.lake import Lake
from ml_assets.training.definition import ModelDefinition


def labelled_rows(lake: Lake, folder: ModelDefinition, rows: pa.Table, beside: Sequence[date]) -> pa.Table:
    """The rows that have a label; of several classes, null says that nobody knows it.

    Args:
        lake: where the labels are.
        folder: the model folder.
        rows: of some dates of a training set.
        beside: its other dates, whose labels count as well.

    Raises:
        TrainingError: there is no row, or one class only.
    """
    file = folder.labels.query.where
    others = _counts(lake, folder, beside)
    values = {*rows[LABEL].drop_null().unique().to_pylist(), *others} - {None}
    count = len(rows) + sum(others.values())
    if not count:
        raise TrainingError(f"{folder.name}: the population is empty at every training date: check population.sql")
    if len(values) < 2:
        why = f"all {count:,} labels are {min(values)!r}" if values else "no label is known"
        raise TrainingError(
            f"{file}: {why}: a classifier needs {folder.task.expected_labels}; widen window.train, or check the query"
        )
    return rows.filter(pc.is_valid(rows[LABEL])) if folder.task.names_classes else rows


def _counts(lake: Lake, folder: ModelDefinition, days: Sequence[date]) -> dict[object, int]:
    """The number of members of the population at some dates with each label."""
    if not days:
        return {}
    entity = quote(folder.spec.entity)
    rows = lake.query(
        f"SELECT {LABEL} AS label, count(*) AS n FROM p JOIN l USING (as_of, {entity}) "
        "WHERE as_of IN (SELECT unnest($days)) GROUP BY ALL",
        {"days": list(days)},
        p=folder.population.kept,
        l=folder.labels.kept,
    )
    return dict(zip(rows["label"].to_pylist(), rows["n"].to_pylist(), strict=True))


def label_mapping(lake: Lake, folder: ModelDefinition, days: Sequence[date]) -> str:
    """The mapping by which labels were read: `no → 0, yes → 1`; empty where they are 0 and 1, or classes, already.

    Args:
        lake: where the labels are.
        folder: the model.
        days: their as-of dates.

    Raises:
        TrainingError: three values or more over all dates, each of which looked like one of two.
    """
    table = folder.labels.kept
    if WRITTEN not in lake.schema(table).names:
        return ""
    rows = lake.query(
        f"SELECT {WRITTEN} AS written, {LABEL} AS label FROM l WHERE as_of IN (SELECT unnest($days)) "
        f"AND {WRITTEN} IS NOT NULL GROUP BY ALL ORDER BY ALL LIMIT 20",
        {"days": list(days)},
        l=table,
    ).to_pylist()
    if len(rows) > 2:
        values = list_values([row["written"] for row in rows], 3)
        raise TrainingError(
            f"{folder.labels.query.where}: label holds {values}: two classes are 0 and 1; for three or more declare "
            "label.classes in defs.yaml"
        )
    return describe_mapping([(row["written"], row["label"]) for row in rows])
