"""Search over documents: BM25 and vectors fused, with filters, snippets, and pages that do not overlap.

    index = SearchIndex(folder)
    index.update(rows, removed, embedder=fit(texts))
    found = index.search("rent increase", filters=Filters(labels=("lease",), amount_from=10_000))

A search is answered from one version of the index, so its pages agree; the next search follows what was written since.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_assets.errors import DataError
from ml_assets.search.fusion import Fusion, Mode, bm25, fuse, order
from ml_assets.search.query import Filters, QueryError, Signals, require_page
from ml_assets.search.reader import Candidates, Snapshot
from ml_assets.search.results import DEPTH, Hit, Results
from ml_assets.search.snippet import snippet
from ml_assets.search.store import SearchStore
from ml_assets.search.terms import asked_terms
from ml_assets.search.writer import Rows, Updated, write

if TYPE_CHECKING:
    from ml_assets.search.embedding import Embedder

__all__ = ["DEPTH", "Filters", "Hit", "QueryError", "Results", "SearchIndex", "Signals", "Updated"]

_WORDS = 32  # distinct terms of a query that count: a pasted page would look for everything
_NOTHING = Filters()
_OFF = Signals()


@dataclass(frozen=True)
class _Ranked:
    """Candidates in their order."""

    asked: Mapping[str, float]
    candidates: Candidates
    lexical: "np.ndarray[Any, Any]"
    semantic: "np.ndarray[Any, Any]"
    scores: "np.ndarray[Any, Any]"
    best: Sequence[int]


class SearchIndex:
    """An index in a folder. Any number of processes search while one of them updates.

    Args:
        location: the folder; it is made by the first update.
        fusion: how the two parts are combined, see `fusion.fuse`.
        weight: of the vectors in a convex fusion. 0.2 was the best of 0.1 to 0.7 on generated questions, which are
            not those of the benchmark; reciprocal rank fusion was worse there than BM25 alone.
    """

    def __init__(self, location: Path | str, *, fusion: Fusion = "convex", weight: float = 0.2) -> None:
        self._store = SearchStore(Path(location))
        self._fusion: Fusion = fusion
        self._weight = weight
        self._snapshot: Snapshot | None = None
        self._following = Lock()

    def update(self, rows: Rows, removed: Iterable[str] = (), *, embedder: "Embedder") -> Updated:
        """Bring the index to hold what it held, without `removed`, and with `rows`.

        Only documents that are new, or whose `fingerprint` is another, are analysed and written. Readers see all of
        it or nothing. Killed at any moment, it has changed nothing; the next update ends as if it had not run. With
        another embedder than before, every document is embedded anew, into a table beside the one that is in use.

        Args:
            rows: documents as `index_schema.DOCUMENTS`, consumed in parts; memory is bounded by one.
            removed: ids; removed before `rows` are written. Unknown ones are ignored.
            embedder: makes the vectors.

        Raises:
            DataError: rows of another form, or the index is damaged.
        """
        with self._store.lock():
            return write(self._store, rows, removed, embedder)

    def search(
        self,
        query: str,
        *,
        filters: Filters = _NOTHING,
        limit: int = 10,
        offset: int = 0,
        signals: Signals = _OFF,
        mode: Mode = "hybrid",
    ) -> Results:
        """The documents that fit a query best; a blank query lists what the filters allow, the newest first.

        Filters apply before anything is ranked. Any text is a legal query. Ties are broken by document id.
        The index of words gives new documents statistics of their own until they are folded in, and so may choose
        others among more than `query.DEPTH` that are nearly as good.

        Args:
            query: words, names, amounts, a question.
            filters: what a document must be.
            limit: documents on a page.
            offset: documents before the page. Of a query the `query.DEPTH` best documents can be paged through.
            signals: small boosts by class and age.
            mode: one part alone, to measure what each adds.

        Raises:
            QueryError: an impossible page, filter or signal.
            DataError: there is no index yet, or it is damaged.
        """
        require_page(limit, offset, ranked=bool(query.strip()))
        page = slice(offset, offset + limit)
        snapshot = self._follow()
        try:
            return self._answer(snapshot, query, filters, page, signals, mode)
        except (OSError, RuntimeError, ValueError):
            # Its files may have been deleted meanwhile, which an update does ten minutes after it replaced them.
            newer = self._follow()
            if newer is snapshot:
                raise
            return self._answer(newer, query, filters, page, signals, mode)

    def ids(self, query: str, *, filters: Filters = _NOTHING, mode: Mode = "hybrid") -> list[str]:
        """The ids of all ranked documents, best first: what `relevance` measures."""
        ranked = self._ranked(self._follow(), query, filters, _OFF, mode)
        return [ranked.candidates.ids[at] for at in ranked.best]

    @property
    def embedder(self) -> "Embedder | None":
        """What made the vectors that readers use; None before the first update."""
        current = self._store.current()
        return self._store.embedder(current.embedder) if current else None

    @property
    def serial(self) -> int:
        """Counts the updates that changed something; 0 before the first."""
        current = self._store.current()
        return current.serial if current else 0

    def _follow(self) -> Snapshot:
        current = self._store.current()
        if current is None:
            raise DataError(f"no search index at {self._store.location}: update it first")
        with self._following:
            if self._snapshot is None or self._snapshot.current != current:
                self._snapshot = Snapshot.of(self._store, current, self._snapshot)
            return self._snapshot

    def _answer(
        self, snapshot: Snapshot, query: str, filters: Filters, page: slice, signals: Signals, mode: Mode
    ) -> Results:
        if not query.strip():
            rows, total = snapshot.newest(filters.sql(snapshot.current.longest), page)
            hits = tuple(_hit(row, (0.0, 0.0, 0.0), {}) for row in rows)
            return Results(hits, total, exact=True, serial=snapshot.current.serial)
        ranked = self._ranked(snapshot, query, filters, signals, mode)
        places = list(ranked.best[page])
        rows = snapshot.display_rows([ranked.candidates.rows[at] for at in places])
        weights = snapshot.weights(ranked.asked)
        hits = tuple(_hit(row, _scores(ranked, at), weights) for at, row in zip(places, rows, strict=True))
        return Results(hits, len(ranked.best), exact=ranked.candidates.all, serial=snapshot.current.serial)

    def _ranked(self, snapshot: Snapshot, query: str, filters: Filters, signals: Signals, mode: Mode) -> _Ranked:
        weights = _asked(snapshot, query)
        vector = snapshot.embedder.query(query, weights).astype(np.float32)
        candidates = snapshot.candidates(weights, vector, filters.sql(snapshot.current.longest), mode)
        lexical = bm25(snapshot.embedder.lexicon, weights, candidates.terms)
        semantic = np.asarray(candidates.vectors @ vector, np.float64)
        scores = fuse(lexical, semantic, mode=mode, fusion=self._fusion, weight=self._weight)
        newest = snapshot.newest_arrival if signals.recency else None
        boosts = [signals.boost(*pair, newest) for pair in zip(candidates.labels, candidates.received, strict=True)]
        scores = scores + np.array(boosts, np.float64)
        return _Ranked(weights, candidates, lexical, semantic, scores, order(scores, candidates.ids)[:DEPTH])


def _asked(snapshot: Snapshot, query: str) -> dict[str, float]:
    return snapshot.embedder.lexicon.query_terms(list(dict.fromkeys(asked_terms(query)))[:_WORDS], snapshot.has)


def _scores(ranked: _Ranked, at: int) -> tuple[float, float, float]:
    score, words, sense = (round(float(each[at]), 6) for each in (ranked.scores, ranked.lexical, ranked.semantic))
    return score, words, sense


def _hit(row: Mapping[str, Any], scores: tuple[float, float, float], weights: Mapping[str, float]) -> Hit:
    score, words, sense = scores
    names = ("document_id", "title", "kind", "label", "label_confidence", "received_at")
    fields = {name: row[name] for name in names}
    return Hit(**fields, score=score, bm25=words, similarity=sense, snippet=snippet(row["text"], weights))
