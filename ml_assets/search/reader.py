"""One version of a search index, as a reader sees it."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ml_assets.search.results import DEPTH

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.table import Table
    from numpy.typing import NDArray

    from ml_assets.search.embedding import Embedder
    from ml_assets.search.fusion import Mode
    from ml_assets.search.store import Current, SearchStore

_DIGITS = 4  # scores are of 32 bits: equal documents agree to here
_PROBES = 40  # partitions: finds all of the 100 nearest of 100,000
_BESIDE = ThreadPoolExecutor(2, "search")  # Lance works outside the interpreter: both parts are looked for at once
_RANKED = ["document_id", "label", "received_at", "terms", "vector"]
_SHOWN = ["document_id", "title", "kind", "label", "label_confidence", "received_at", "text"]


@dataclass(frozen=True)
class Candidates:
    """What either part of the search brought up, each document once.

    Args:
        rows: their places in the table.
        ids: document ids.
        labels: predicted classes.
        received: arrivals.
        terms: of each document.
        vectors: [candidates, size].
        all: whether nothing else could have been found.
    """

    rows: Sequence[int]
    ids: Sequence[str]
    labels: Sequence[str | None]
    received: Sequence[datetime | None]
    terms: Sequence[Sequence[str]]
    vectors: "NDArray[np.float32]"
    all: bool


class Snapshot:
    """A pinned version of the table, and the embedder of its vectors."""

    def __init__(self, current: "Current", table: "Table", embedder: "Embedder") -> None:
        self.current = current
        self.embedder = embedder
        self._table = table

    @classmethod
    def of(cls, store: "SearchStore", current: "Current", before: "Snapshot | None") -> Self:
        """Open a version; the embedder of the one before is kept where it is the same."""
        same = before is not None and before.current.embedder == current.embedder
        embedder = before.embedder if before and same else store.embedder(current.embedder)
        return cls(current, store.open_table(current), embedder)

    def candidates(
        self, asked: Mapping[str, float], vector: "NDArray[np.float32]", where: str | None, mode: "Mode"
    ) -> Candidates:
        """The documents with the best words, and those with the nearest vectors, among what a filter allows.

        Args:
            asked: term → weight, of the query.
            vector: of the query, [size].
            where: a filter in SQL; None for every document.
            mode: which of the two is searched.
        """
        begun = _BESIDE.submit(self._nearest, vector, where) if vector.any() and mode != "bm25" else None
        words = self._lexical(asked, where) if asked and mode != "vector" else []
        near = begun.result() if begun else []
        rows = list(dict.fromkeys([*words, *near]))
        columns = self._taken(rows, _RANKED)
        vectors = columns["vector"].combine_chunks().flatten().to_numpy() if rows else np.empty(0)
        return Candidates(
            rows,
            columns["document_id"].to_pylist(),
            columns["label"].to_pylist(),
            columns["received_at"].to_pylist(),
            [terms.split() for terms in columns["terms"].to_pylist()],
            np.asarray(vectors, np.float32).reshape(len(rows), self.embedder.size),
            len(words) < DEPTH and len(near) < DEPTH,
        )

    def newest(self, where: str | None, page: slice) -> tuple[list[dict[str, Any]], int]:
        """A page of what a filter allows, the newest first, and how many there are."""
        total = self._table.count_rows(where)
        if page.start >= total:
            return [], total
        from lancedb.query import ColumnOrdering

        order = [ColumnOrdering(column_name="received_at", ascending=False), ColumnOrdering(column_name="document_id")]
        query = (
            self._table.search()
            .select(_SHOWN)
            .with_row_id(True)
            .order_by(order)
            .limit(page.stop - page.start)
            .offset(page.start)
        )
        return (query.where(where) if where else query).to_list(), total

    @cached_property
    def newest_arrival(self) -> datetime | None:
        """When the newest document arrived."""
        newest, _ = self.newest("received_at IS NOT NULL", slice(0, 1))
        return newest[0]["received_at"] if newest else None

    def display_rows(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """What a page shows of its documents, in their order."""
        page: list[dict[str, Any]] = self._taken(rows, _SHOWN).to_pylist()
        return page

    def weights(self, asked: Mapping[str, float]) -> dict[str, float]:
        """How much each term of a query says."""
        return {term: weight * self.embedder.lexicon.idf(term) for term, weight in asked.items()}

    def has(self, term: str) -> bool:
        """Whether any document has a term."""
        return bool(len(_limited(self._matching([term]), "_score", None, 1)))

    def _lexical(self, asked: Iterable[str], where: str | None) -> list[int]:
        return _best(self._matching(asked), "_score", where, falling=True)

    def _matching(self, asked: Iterable[str]) -> Any:  # noqa: ANN401 - see `_best`
        from lancedb.query import MatchQuery

        query = MatchQuery(" ".join(asked), "terms")  # type: ignore[call-arg]  # its defaults are pydantic's
        return self._table.search(query)

    def _nearest(self, vector: "NDArray[np.float32]", where: str | None) -> list[int]:
        query: Any = self._table.search(vector, vector_column_name="vector", query_type="vector")
        # Beyond the nearest partitions only where a filter leaves too few; without an index all vectors are compared.
        searched = query.distance_type("dot").minimum_nprobes(_PROBES).maximum_nprobes(0 if where else _PROBES)
        return _best(searched, "_distance", where, falling=False)

    def _taken(self, rows: Sequence[int], columns: list[str]) -> "pa.Table":
        """Columns of rows, in their order."""
        import pyarrow as pa

        if not rows:
            return self._table.schema.empty_table().select(columns)
        table = self._table.take_row_ids(list(rows)).select(columns).with_row_id().to_arrow()
        at = {row: place for place, row in enumerate(table["_rowid"].to_pylist())}
        return table.select(columns).take(pa.array([at[row] for row in rows]))


def _best(query: Any, scored: str, where: str | None, *, falling: bool) -> list[int]:  # noqa: ANN401 - two builders
    """The places of the `DEPTH` best documents; of those that tie at the end the ones with the smallest ids."""
    limit = 2 * DEPTH
    while True:
        table = _limited(query, scored, where, limit)
        scores = np.round(table[scored].to_numpy().astype(np.float64), _DIGITS)
        if len(table) < limit or scores[DEPTH - 1] != scores[-1]:
            break
        limit *= 8
    ranks = np.lexsort((np.array(table["document_id"].to_pylist(), str), -scores if falling else scores))
    rows: list[int] = table["_rowid"].to_numpy()[ranks[:DEPTH]].tolist()
    return rows


def _limited(query: Any, scored: str, where: str | None, limit: int) -> "pa.Table":  # noqa: ANN401 - two builders
    limited = query.select([scored, "document_id"]).with_row_id(True).limit(limit)
    return limited.to_arrow() if where is None else _filtered(limited, where).to_arrow()


def _filtered(query: Any, where: str) -> Any:  # noqa: ANN401 - two builders
    """Once, although a builder is asked again with another limit: it would join the conditions."""
    return query if query.to_query_object().filter else query.where(where, prefilter=True)
