"""Results of a search. Nothing heavy is imported here: a server describes it before anybody searches."""

from dataclasses import dataclass
from datetime import datetime

DEPTH = 100
"""Documents of a ranking, and candidates that each part brings up: what a person would page through."""


@dataclass(frozen=True)
class Hit:
    """A document that was found.

    Args:
        document_id: which.
        title: as it was indexed; so are `kind`, `label`, `label_confidence` and `received_at`.
        score: what it was ranked by; comparable within one search only.
        bm25: Okapi BM25; 0 where no term of the query is in it, and in a list without a query.
        similarity: cosine of its vector and the query's.
        snippet: HTML, see `snippet.snippet`.
    """

    document_id: str
    title: str | None
    kind: str
    label: str | None
    label_confidence: float | None
    received_at: datetime | None
    score: float
    bm25: float
    similarity: float
    snippet: str


@dataclass(frozen=True)
class Results:
    """A page of documents, best first.

    Args:
        hits: the page.
        total: how many documents were found in all.
        exact: whether there are no more than `total`; else there are at least as many.
        serial: of the state of the index that answered; pages of one serial do not overlap.
    """

    hits: tuple[Hit, ...]
    total: int
    exact: bool
    serial: int
