"""Outcomes that say what a document is become labels: a file in the drop zone of the source of reviews."""

import hashlib
import json
from pathlib import Path
from typing import Any

from ml_assets.events.rows import Outcome, Prediction
from ml_assets.features.view import Relation
from ml_assets.ingest.corrections import current
from ml_assets.monitoring.log.take import table
from ml_assets.storage.duck import literal, quote
from ml_assets.storage.files import write_whole
from ml_assets.storage.lake import Lake
from ml_assets.training.definition import ModelDefinition


def deliver(lake: Lake, folder: ModelDefinition, drop: Path) -> int:
    """Write the reviews that the source does not hold yet, as one file that appears whole.

    What is written follows from the lake alone, so a call that was killed is repeated by the next one; a file that
    waits in the drop zone is found by its name, which is its content's.

    Args:
        lake: with the prediction log, its outcomes, and the source.
        folder: the model; its `documents.reviewed` names the source.
        drop: the folder of the source's files.

    Returns:
        How many reviews the file holds; 0 where there is nothing new.
    """
    source = reviews_of(folder)
    if source is None or lake.version(table(folder.name, Outcome)) is None:
        return 0
    rows = _new(lake, folder, source)
    if rows:
        _write(drop, "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows))
    return len(rows)


def reviews_of(folder: ModelDefinition) -> Relation | None:
    """The source of reviews, where the model declares one that its label query reads."""
    name = folder.spec.documents and folder.spec.documents.reviewed
    return next((relation for relation in folder.labels.relations if relation.name == name), None)


def _new(lake: Lake, folder: ModelDefinition, source: Relation) -> list[dict[str, Any]]:
    entity, at = quote(folder.spec.entity), quote(source.event_time)
    classes = ", ".join(literal(name) for name in folder.spec.label.classes)
    with lake.open(p=table(folder.name, Prediction), o=table(folder.name, Outcome)) as connection:
        delivered = "(SELECT '' AS entity, '' AS label, NULL::TIMESTAMP AS at WHERE false)"
        if lake.version(source.table) is not None:
            read = current(lake, connection, source.keyed)
            delivered = f"(SELECT {entity} AS entity, label, {at} AS at FROM {read})"
        rows: list[tuple[str, str, str, str]] = connection.sql(f"""
            SELECT DISTINCT p.entity, o.value ->> '$' AS label,
                strftime(o.observed_at, '%Y-%m-%dT%H:%M:%S.%f'), o.source
            FROM o JOIN p USING (prediction_id)
            WHERE p.entity <> '' AND o.kind = 'label' AND o.value ->> '$' IN ({classes})
            AND NOT EXISTS (FROM {delivered} AS h WHERE h.entity = p.entity AND h.label = o.value ->> '$'
                AND h.at = o.observed_at) ORDER BY ALL""").fetchall()
    names = (folder.spec.entity, "label", source.event_time, "reviewer")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _write(drop: Path, content: str) -> None:
    path = drop / f"outcomes-{hashlib.sha256(content.encode()).hexdigest()[:16]}.jsonl"
    if not path.exists():
        write_whole(path, content)
