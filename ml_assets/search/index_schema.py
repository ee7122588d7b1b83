"""Documents as rows of the search index: what goes in, and what is derived from it."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ml_assets.errors import DataError
from ml_assets.search.terms import terms

if TYPE_CHECKING:
    from ml_assets.search.embedding import Embedder

DOCUMENTS = pa.schema([
    pa.field("document_id", pa.string(), nullable=False),  # SHA-256 of the content
    pa.field("title", pa.string()),
    pa.field("kind", pa.string(), nullable=False),  # "pdf", "docx", …
    pa.field("label", pa.string()),  # the predicted class
    pa.field("label_confidence", pa.float64()),
    pa.field("received_at", pa.timestamp("us")),
    pa.field("parties", pa.list_(pa.string())),
    pa.field("dates", pa.list_(pa.date32())),  # that the text mentions
    pa.field("amounts", pa.list_(pa.float64())),
    pa.field("text", pa.string(), nullable=False),
    pa.field("fingerprint", pa.string(), nullable=False),  # of the row: another one means that it has changed
])  # fmt: skip

FACTS = ("parties", "dates", "amounts")
"""Columns by which searches are filtered, where the extractor of the documents has them: lists of names, days, sums."""

LAYOUT = 3
"""Raised when a table has other columns, or a text other terms, than before: every document is then written anew."""

BATCH = 2048  # rows held at a time: some 20 MB of documents of three pages
_TITLE = 3  # times that a term of the title counts: what a document is called says more than what it mentions


@dataclass(frozen=True)
class Ranged:
    """A list that is filtered by range: its values as columns of their own, each of which can have an index.

    Args:
        column: the list.
        kind: of a value.
        first: so many of the distinct values have columns; whether there are more is one too.
    """

    column: str
    kind: pa.DataType
    first: int

    @property
    def places(self) -> tuple[str, ...]:
        """The columns of the values, in rising order; null where there are fewer."""
        return tuple(f"{self.column}_{place}" for place in range(self.first))

    @property
    def low(self) -> str:
        """The column of the smallest value."""
        return f"{self.column}_low"

    @property
    def high(self) -> str:
        """The column of the largest value."""
        return f"{self.column}_high"

    @property
    def more(self) -> str:
        """The column that says whether there are more values than columns."""
        return f"{self.column}_more"

    @property
    def fields(self) -> list[pa.Field]:
        """All of them, as the table has them."""
        values = [pa.field(name, self.kind) for name in (self.low, self.high, *self.places)]
        return [*values, pa.field(self.more, pa.bool_(), nullable=False)]

    def longest(self, rows: "Sequence[list[Any] | None]") -> int:
        """The most distinct values of a list."""
        return max((len(set(row or ()) - {None}) for row in rows), default=0)

    def columns(self, rows: "Sequence[list[Any] | None]") -> dict[str, pa.Array]:
        """Their values for lists; null where a list is empty or missing."""
        values_of_rows = [sorted({value for value in row or () if value is not None}) for row in rows]
        ends = {
            self.low: [row[0] if row else None for row in values_of_rows],
            self.high: [row[-1] if row else None for row in values_of_rows],
        }
        values = ends | {
            name: [row[place] if place < len(row) else None for row in values_of_rows]
            for place, name in enumerate(self.places)
        }
        more = pa.array([len(row) > self.first for row in values_of_rows], pa.bool_())
        return {name: pa.array(column, self.kind) for name, column in values.items()} | {self.more: more}


DATES = Ranged("dates", pa.date32(), 24)
AMOUNTS = Ranged("amounts", pa.float64(), 64)


def table_schema(size: int) -> pa.Schema:
    """The schema of the table, for vectors of a size."""
    derived = [
        pa.field("terms", pa.string(), nullable=False),  # what BM25 counts, parted by spaces
        pa.field("party_text", pa.string(), nullable=False),  # folded, one to a line
        *DATES.fields,
        *AMOUNTS.fields,
        pa.field("vector", pa.list_(pa.float32(), size), nullable=False),
    ]
    return pa.schema([*DOCUMENTS, *derived])


def batches(rows: pa.Table | Iterable[pa.RecordBatch | pa.Table]) -> Iterator[pa.Table]:
    """Documents in parts of at most `BATCH` rows, cast to `DOCUMENTS`; of an id that comes twice in a part the last.

    Raises:
        DataError: a column is missing, of another type, or null where it must not be.
    """
    for part in [rows] if isinstance(rows, pa.Table) else rows:
        whole = pa.Table.from_batches([part]) if isinstance(part, pa.RecordBatch) else part
        for start in range(0, len(whole), BATCH):
            yield _last(_cast(whole.slice(start, BATCH)))


def index_rows(documents: pa.Table, embedder: "Embedder") -> pa.Table:
    """Documents with what search needs: terms, folded parties, ranges of dates and amounts, vectors."""
    analysed = [
        _terms(*pair) for pair in zip(*(documents[name].to_pylist() for name in ("title", "text")), strict=True)
    ]
    vectors = embedder.documents(documents["text"].to_pylist(), analysed)
    derived = {
        "terms": pa.array([" ".join(words) for words in analysed], pa.string()),
        "party_text": pa.array([_parties(names) for names in documents["parties"].to_pylist()], pa.string()),
        **DATES.columns(documents["dates"].to_pylist()),
        **AMOUNTS.columns(documents["amounts"].to_pylist()),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), embedder.size),
    }
    columns = {name: documents[name] for name in DOCUMENTS.names} | derived
    return pa.table(list(columns.values()), schema=table_schema(embedder.size))


def fold_text(text: str) -> str:
    """Text as parties are compared: without case, accents, and runs of white space."""
    letters = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return " ".join(plain.casefold().split())


def _terms(title: str | None, text: str) -> list[str]:
    return terms(title or "") * _TITLE + terms(text)


def _parties(names: list[str | None] | None) -> str:
    return "\n".join(fold_text(name) for name in names or () if name)


def _cast(part: pa.Table) -> pa.Table:
    if missing := [name for name in DOCUMENTS.names if name not in part.column_names]:
        raise DataError(f"documents without the column {missing[0]!r}: pass all of {', '.join(DOCUMENTS.names)}")
    for field in DOCUMENTS:
        if not field.nullable and part[field.name].null_count:
            raise DataError(f"{part[field.name].null_count} documents have no {field.name}: it must not be null")
    try:
        return part.select(DOCUMENTS.names).cast(DOCUMENTS)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise DataError(f"documents of another type ({error}): cast them to index_schema.DOCUMENTS") from error


def _last(part: pa.Table) -> pa.Table:
    at = {name: place for place, name in enumerate(part["document_id"].to_pylist())}
    return part if len(at) == len(part) else part.take(sorted(at.values()))


def sql_day(day: date) -> str:
    """A date as an SQL literal."""
    return f"date '{day.isoformat()}'"


def sql_text(text: str) -> str:
    """A string as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
