"""The search index of documents follows the lake: what was read, what it is taken for, what was withdrawn."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from ml_assets.errors import DataError
from ml_assets.ingest.corrections import current, current_rows, withdrawn_files
from ml_assets.search.embedding import fit, learn_lexicon
from ml_assets.search.index import SearchIndex
from ml_assets.search.index_schema import DOCUMENTS, FACTS, LAYOUT
from ml_assets.storage.duck import quote
from ml_assets.storage.files import write_whole
from ml_assets.storage.lake import Lake

if TYPE_CHECKING:
    import duckdb

    from ml_assets.search.embedding import Embedder
    from ml_assets.spec.model import DocumentsSpec
    from ml_assets.training.definition import ModelDefinition

_FOLLOWED = "followed.json"
_ROWS = 1_000  # documents in memory
_GROWN = 2  # times as many documents as the embedder was fitted on, and it is fitted anew
_SAMPLE = 20_000  # documents that an embedder is fitted on at the most


@dataclass(frozen=True)
class Indexed:
    """What an update did: documents written, left as they were, removed, and all that there are now.

    Args:
        fitted: the vectors are of a newly fitted embedder, so all documents were written.
        serial: of the state that searches see.
    """

    written: int
    unchanged: int
    removed: int
    documents: int
    fitted: bool
    serial: int


def update_index(
    lake: Lake, folder: "ModelDefinition", spec: "DocumentsSpec", location: Path, model: Path | None = None
) -> Indexed:
    """Bring the index up to what the lake holds; nothing is written where it stands already.

    The same documents give the same vectors: the embedder is fitted on them when there is none, and again when there
    are twice as many. A document's class is what people said last, else what the latest predictions decided.

    Args:
        lake: where the documents, the predictions and the withdrawals are.
        folder: the model.
        spec: which sources they are.
        location: the folder of the index.
        model: the folder of a sentence-transformers model; its vectors take the place of those that are fitted.

    Raises:
        DataError: no two documents share a word, or the model cannot be used.
    """
    search_index = SearchIndex(location)
    versions = _followed(lake, folder, spec, model)  # before the rows: what comes in between is seen by the next run
    with lake.connect() as connection:
        bind_views(lake, connection, folder, spec)
        count = connection.sql("SELECT count(*) FROM documents").fetchall()[0][0]
        if not count and not search_index.serial:
            _note(location, versions)
            return Indexed(0, 0, 0, 0, fitted=False, serial=0)
        embedder, fitted = _embedder(connection, search_index, count, model)
        left = [row[0] for row in connection.sql("SELECT document_id FROM withdrawn ORDER BY ALL").fetchall()]
        left += withdrawn_files(lake, _tables(folder, spec)[0])  # a document's id is the SHA-256 of its file
        done = search_index.update(_rows(connection), left, embedder=embedder)
    _note(location, versions)
    return Indexed(done.written, done.unchanged, done.removed, count, fitted=fitted, serial=done.serial)


def is_behind(
    lake: Lake, folder: "ModelDefinition", spec: "DocumentsSpec", location: Path, model: Path | None = None
) -> bool:
    """Whether the lake, or what makes the vectors, has changed since the index followed it.

    Args:
        lake: the tables.
        folder: the model.
        spec: what it declares of its documents.
        location: where the index stands.
        model: the folder of a sentence-transformers model; None for the fitted vectors.
    """
    try:
        followed = json.loads((location / _FOLLOWED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        followed = {}
    return bool(followed != _followed(lake, folder, spec, model))


def _followed(lake: Lake, folder: "ModelDefinition", spec: "DocumentsSpec", model: Path | None) -> dict[str, int | str]:
    versions = {table: lake.version(table) for table in _tables(folder, spec)}
    state: dict[str, int | str] = {table: version for table, version in versions.items() if version is not None}
    return state | {"layout": LAYOUT, "model": str(model)}


def _tables(folder: "ModelDefinition", spec: "DocumentsSpec") -> tuple[str, str, str, str]:
    """Of the documents, of what they are taken for, of what was withdrawn, and of what people say."""
    tables = folder.tables
    withdrawn, reviewed = tables.raw(str(spec.withdrawn)), tables.raw(str(spec.reviewed))  # None names no table
    return tables.raw(spec.source), tables.predictions, withdrawn, reviewed


def _note(location: Path, versions: Mapping[str, int | str]) -> None:
    write_whole(location / _FOLLOWED, json.dumps(versions))


def _embedder(
    connection: "duckdb.DuckDBPyConnection", index: SearchIndex, count: int, model: Path | None
) -> "tuple[Embedder, bool]":
    """The embedder in use, or a new one: when there are twice as many documents, or the vectors are to be another's."""
    embedder = _held(index, model)
    if embedder is not None and min(count, _SAMPLE) < _GROWN * embedder.lexicon.documents:
        return embedder, False
    if model is None:
        return fit(_texts(connection)), True
    from ml_assets.search.sentences import sentence_embedder  # sentence-transformers, where it is asked for

    return sentence_embedder(model, learn_lexicon(_texts(connection))), True


def _held(index: SearchIndex, model: Path | None) -> "Embedder | None":
    try:
        embedder = index.embedder
    except DataError:  # its model is gone or another by now: all is embedded anew
        return None
    return embedder if embedder is not None and embedder.model == model else None


def _texts(connection: "duckdb.DuckDBPyConnection") -> Iterator[str]:
    for batch in connection.sql("SELECT text FROM documents").to_arrow_reader(_ROWS):
        yield from batch.column("text").to_pylist()


def _rows(connection: "duckdb.DuckDBPyConnection") -> Iterator[pa.RecordBatch]:
    yield from connection.sql("SELECT * FROM documents").to_arrow_reader(_ROWS)


def bind_views(
    lake: Lake, connection: "duckdb.DuckDBPyConnection", folder: "ModelDefinition", spec: "DocumentsSpec"
) -> None:
    """The views `documents`, as `index_schema.DOCUMENTS`, and `withdrawn`.

    Args:
        lake: the tables.
        connection: to DuckDB, which gets the views.
        folder: the model.
        spec: what it declares of its documents.
    """
    empty = zip(_tables(folder, spec), (_NO_TEXT, _NO_CLASS, _NO_ID), strict=False)
    read, predictions, left = (_relation(lake, connection, table, schema) for table, schema in empty)
    facts = ", ".join(_facts(connection, read))
    classes = "decision" if folder.spec.label.classes else "NULL::VARCHAR"
    reviewed = _reviewed(lake, connection, folder, spec)
    connection.execute(f"CREATE TEMP VIEW withdrawn AS SELECT DISTINCT document_id FROM {left}")
    connection.execute(f"""
        CREATE TEMP VIEW documents AS
        SELECT document_id, coalesce(title, name) AS title, kind, coalesce(reviewed, decided) AS label,
            CASE WHEN reviewed IS NULL THEN score END AS label_confidence, received_at, {facts}, text,
            concat_ws(' ', {LAYOUT}, document_id, label, round(label_confidence, 3)) AS fingerprint
        FROM {read} LEFT JOIN (
            SELECT {folder.spec.entity} AS document_id, arg_max({classes}, as_of) AS decided,
                arg_max(score, as_of) AS score
            FROM {predictions} GROUP BY ALL
        ) USING (document_id) LEFT JOIN ({reviewed}) USING (document_id)
        WHERE document_id NOT IN (SELECT document_id FROM withdrawn)""")


def _facts(connection: "duckdb.DuckDBPyConnection", documents: str) -> Iterator[str]:
    """The facts that a search filters by, as the extractor of the source finds them; null where it finds none."""
    schema = connection.sql(f"FROM {documents} LIMIT 0").to_arrow_table().schema
    for name in FACTS:
        kind = DOCUMENTS.field(name).type
        has = name in schema.names and schema.field(name).type == kind
        yield name if has else f"NULL::{_SQL_TYPES[kind.value_type]}[] AS {name}"


def _reviewed(
    lake: Lake, connection: "duckdb.DuckDBPyConnection", folder: "ModelDefinition", spec: "DocumentsSpec"
) -> str:
    """What people said last of each document."""
    reviews = next((relation for relation in folder.labels.relations if relation.name == spec.reviewed), None)
    if reviews is None or lake.version(reviews.table) is None:
        return "SELECT NULL::VARCHAR AS document_id, NULL::VARCHAR AS reviewed WHERE false"
    read, at = current(lake, connection, reviews.keyed), quote(reviews.event_time)
    return f"SELECT document_id, arg_max(label, {at}) AS reviewed FROM {read} GROUP BY ALL"


def _relation(lake: Lake, connection: "duckdb.DuckDBPyConnection", table: str, empty: pa.Schema) -> str:
    """A table; what is not there yet is empty."""
    if table.split("/")[1] == "raw" and lake.version(table) is not None:
        return current_rows(lake, connection, table)
    if lake.version(table) is not None:
        return lake.relation(connection, table)
    name = table.replace("/", "_")
    connection.register(name, empty.empty_table())
    return name


_NO_ID = pa.schema([("document_id", pa.string())])
_NO_CLASS = pa.schema([
    ("document_id", pa.string()), ("as_of", pa.date32()), ("score", pa.float64()), ("decision", pa.string()),
])  # fmt: skip
_SQL_TYPES = {pa.string(): "VARCHAR", pa.date32(): "DATE", pa.float64(): "DOUBLE"}
_NO_TEXT = pa.schema([
    ("document_id", pa.string()), ("title", pa.string()), ("name", pa.string()), ("kind", pa.string()),
    ("received_at", pa.timestamp("us")), ("parties", pa.list_(pa.string())), ("dates", pa.list_(pa.date32())),
    ("amounts", pa.list_(pa.float64())), ("text", pa.string()),
])  # fmt: skip
