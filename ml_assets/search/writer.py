"""Bring documents into the table of a search index: only what is new or has changed."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa

from ml_assets.search.index_schema import AMOUNTS, BATCH, DATES, DOCUMENTS, batches, index_rows, sql_text, table_schema
from ml_assets.search.store import Current, SearchStore

if TYPE_CHECKING:
    from lancedb.table import Table

    from ml_assets.search.embedding import Embedder

Rows: TypeAlias = pa.Table | Iterable[pa.RecordBatch | pa.Table]

_TERMS, _VECTORS = "terms_idx", "vector_idx"
_MANY = 20_000  # documents: so many are compared with a query or a filter in 10 ms
_UNFOLDED = 512  # rows that are searched one by one before they are folded into the index of words
_DELETED = 0.2  # share of the rows; then the space of the removed ones is freed too
_GRACE = timedelta(minutes=10)  # for readers of a version that was replaced; then its files are deleted
_UNSEEN = timedelta(milliseconds=1)  # the same for a new table: nobody read a version before this one
_FOR_EVER = timedelta(days=36500)
_MEMORY = 256  # MiB, for the index of words while it is built


@dataclass(frozen=True)
class Updated:
    """What an update did.

    Args:
        written: documents that were new or had changed.
        unchanged: documents that were there already.
        removed: documents that were there and are no more.
        serial: of the state that readers see now.
        folded: whether the index of words was brought up to date; else the new documents are searched one by one.
    """

    written: int
    unchanged: int
    removed: int
    serial: int
    folded: bool


@dataclass
class _Counts:
    written: int = 0
    unchanged: int = 0
    removed: int = 0
    longest: dict[str, int] = field(default_factory=dict)

    @property
    def changed(self) -> int:
        return self.written + self.removed


def write(store: SearchStore, rows: Rows, removed: Iterable[str], embedder: "Embedder") -> Updated:
    """Bring documents into the table; see `SearchIndex.update`. The caller holds the lock.

    Args:
        store: the files of the index.
        rows: documents as `index_schema.DOCUMENTS`, consumed in parts.
        removed: ids, removed before `rows` are written.
        embedder: makes the vectors.

    Raises:
        DataError: rows of another form, or the index is damaged.
    """
    before = store.current()
    store.delete_unused(before)
    if before and before.embedder == embedder.fingerprint and _fits(store.open_table(before), embedder):
        table, before = store.recover_table(before)
        counts = _Counts(longest=dict(before.longest))
        _change(table, rows, removed, embedder, counts)
        if not counts.changed:
            return Updated(0, counts.unchanged, 0, before.serial, folded=False)
        return _published(store, table, counts, replace(before, serial=before.serial + 1), _GRACE)
    return _elsewhere(store, before, rows, removed, embedder)


def _elsewhere(
    store: SearchStore, before: Current | None, rows: Rows, removed: Iterable[str], embedder: "Embedder"
) -> Updated:
    """Into a table of its own: vectors of two embedders cannot be compared, nor columns be added."""
    serial, counts = before.serial + 1 if before else 1, _Counts()
    table = store.create_table(serial, embedder)
    if before:
        for part in _held(store.open_table(before)):
            _add(table, part, embedder, counts)
    _change(table, rows, removed, embedder, counts)
    return _published(store, table, counts, Current(serial, table.name, 0, embedder.fingerprint), _UNSEEN)


def _fits(table: "Table", embedder: "Embedder") -> bool:
    """Whether a table has the columns of today, and not those of a release before."""
    return bool(table.schema.names == table_schema(embedder.size).names)


def _published(store: SearchStore, table: "Table", counts: _Counts, target: Current, grace: timedelta) -> Updated:
    folded = _fold(table)
    store.point(replace(target, version=table.version, longest=counts.longest))
    if folded:
        # Only now: until readers have been pointed on, nothing of what they use may be deleted.
        table.optimize(cleanup_older_than=grace)
    return Updated(counts.written, counts.unchanged, counts.removed, target.serial, folded)


def _change(table: "Table", rows: Rows, removed: Iterable[str], embedder: "Embedder", counts: _Counts) -> None:
    names = iter(removed)
    while part := list(islice(names, BATCH)):
        counts.removed += _delete(table, part)
    for documents in batches(rows):
        _merge(table, documents, embedder, counts)


def _merge(table: "Table", documents: pa.Table, embedder: "Embedder", counts: _Counts) -> None:
    """Delete, then add: what lies between is never seen."""
    fingerprints = _fingerprints(table, documents["document_id"].to_pylist())
    pairs = zip(documents["document_id"].to_pylist(), documents["fingerprint"].to_pylist(), strict=True)
    new = [place for place, (name, print_) in enumerate(pairs) if fingerprints.get(name) != print_]
    counts.unchanged += len(documents) - len(new)
    if not new:
        return
    fresh = documents.take(new)
    replaced = [name for name in fresh["document_id"].to_pylist() if name in fingerprints]
    if replaced:
        _delete(table, replaced)
    _add(table, fresh, embedder, counts)
    counts.written += len(fresh)


def _add(table: "Table", documents: pa.Table, embedder: "Embedder", counts: _Counts) -> None:
    table.add(index_rows(documents, embedder))
    for each in (DATES, AMOUNTS):
        longest = each.longest(documents[each.column].to_pylist())
        counts.longest[each.column] = max(longest, counts.longest.get(each.column, 0))


def _fingerprints(table: "Table", names: list[str]) -> dict[str, str]:
    """The fingerprints of those of the documents that are there."""
    query = table.search().where(_among(names)).select(["document_id", "fingerprint"]).limit(len(names))
    rows = query.to_arrow()
    return dict(zip(rows["document_id"].to_pylist(), rows["fingerprint"].to_pylist(), strict=True))


def _delete(table: "Table", names: list[str]) -> int:
    before = table.count_rows()
    table.delete(_among(names))
    return before - table.count_rows()


def _among(names: list[str]) -> str:
    return f"document_id IN ({', '.join(map(sql_text, names))})"


def _held(table: "Table") -> Iterator[pa.Table]:
    """The documents of a table in parts."""
    for batch in table.search().select(DOCUMENTS.names).to_batches(BATCH):
        yield from batches(pa.Table.from_batches([batch]))


def _fold(table: "Table") -> bool:
    """Bring the index of words up to date when searching the rest one by one would take long; makes it at first."""
    if not table.count_rows():
        return False
    stats = table.index_stats(_TERMS)
    if stats is None:
        table.optimize(cleanup_older_than=_FOR_EVER)
        _index(table)
        _enlarge(table)
        return True
    live = table.count_rows()
    gone = stats.num_indexed_rows + stats.num_unindexed_rows - live
    if stats.num_unindexed_rows <= _UNFOLDED and gone <= _DELETED * live:
        return False
    table.optimize(cleanup_older_than=_FOR_EVER)
    _enlarge(table)
    return True


def _index(table: "Table") -> None:
    """The words are stems already: they are indexed as they are."""
    from lancedb.index import FTS, BTree

    words = FTS(
        base_tokenizer="whitespace", lower_case=False, stem=False, remove_stop_words=False, ascii_folding=False,
        max_token_length=None, memory_limit=_MEMORY,
    )  # fmt: skip
    table.create_index("terms", config=words, name=_TERMS)
    table.create_index("document_id", config=BTree(), name="document_id_idx")


def _enlarge(table: "Table") -> None:
    """What many documents need: vectors in partitions (as they are, not quantized), an index for each filter."""
    from lancedb.index import Bitmap, BTree, IvfFlat

    if table.count_rows() >= _MANY and table.index_stats(_VECTORS) is None:
        for column in ("received_at", *DATES.places, *AMOUNTS.places):
            table.create_index(column, config=BTree(), name=f"{column}_idx")
        for column in ("label", "kind"):
            table.create_index(column, config=Bitmap(), name=f"{column}_idx")
        partitions = math.isqrt(table.count_rows())
        config = IvfFlat(distance_type="dot", num_partitions=partitions, sample_rate=64, max_iterations=10)
        table.create_index("vector", config=config, name=_VECTORS)
