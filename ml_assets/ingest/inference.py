"""The types of text columns: the narrowest that every value fits. Nulls, blanks and NaN decide nothing."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ml_assets.ingest.casts import TYPES, cast, filled_condition, fits_text, is_filled, shape
from ml_assets.ingest.content import Content, map_columns, query_arrow
from ml_assets.storage.duck import literal

if TYPE_CHECKING:
    import duckdb

    from ml_assets.spec.source import Kind, SourceSpec
    from ml_assets.spec.text_format import TextFormat

KINDS: "tuple[Kind, ...]" = ("boolean", "integer", "double", "date", "timestamp")
"""The types that text may have, the narrower first."""

LOOKS = {
    "numbers with a decimal comma": r"-?\d{1,3}(\.\d{3})*,\d+|-?\d+,\d+",
    "dates": r"\d{1,2}[./-]\d{1,2}[./-](\d{4}|\d{2})([ T].*)?|\d{1,2}[ -][A-Za-z]{3,9}\.?,?[ -]\d{2,4}([ T].*)?",
}
"""What is written in a way that has to be declared, and what it looks like."""

_NUMBERS = {"boolean", "integer", "double"}
_SAMPLE = 64  # values of a column that are looked at before any is counted
_LOOKED_AT = 1_024  # rows in which they are sought at once
_WORDS = (
    *("n/a", "na", "#n/a", "null", "none", "nil", "-", "--", ".", "?", "unknown", "missing", "undefined"),
    *(r"\n", "(null)", "<na>", "nat", "#null!", "#ref!", "#value!", "#div/0!", "not available", "tbd"),
)
_CODE = r"0\d+|\+\d+"  # what no number begins with
_NEARLY = 0.9


@dataclass
class Tally:
    """What is counted of a column: its values, and those that fit each type.

    Args:
        plausible: what at least half of its first values look like; None while it has none.
        counted: of which types the values are counted.
        words: it holds text, though all of it says NaN.
    """

    plausible: tuple[str, ...] | None = None
    counted: tuple[str, ...] = ()
    filled: int = 0
    words: bool = False
    fits: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Doubt:
    """A text column of which nearly all values fit a narrower type, or look like one.

    Args:
        fits: how many.
        filled: of how many values.
        example: one that does not fit; of what only looks like something, one that does.
    """

    column: str
    kind: str
    fits: int
    filled: int
    example: str


def infer(
    content: Content, columns: Sequence[str], spec: "SourceSpec", connection: "duckdb.DuckDBPyConnection"
) -> tuple[dict[str, pa.DataType | None], list[Doubt]]:
    """The type of each text column; None for one without a value, which so takes its type later.

    Rows whose time cannot be read decide nothing: they go to the quarantine, as a second header line does.

    Args:
        content: the file.
        columns: its text columns.
        spec: the source, which says how numbers and times are written.
        connection: where SQL is run.

    Returns:
        The types, and the columns of which only the author of the source can say what they are.
    """
    tallies = {column: Tally() for column in columns}
    _tally(content, tallies, spec, connection)
    # Nearly all columns are what their first values look like; of the others every type is counted.
    again = {
        column: Tally(tally.plausible, (*tally.plausible, "words", "codes"))
        for column, tally in tallies.items()
        if tally.plausible and _type(tally, column, content) in (None, pa.string())
    }
    if again:
        _tally(content, again, spec, connection)
    tallies |= again
    types = {column: _type(tally, column, content) for column, tally in tallies.items()}
    nearly = {column: _nearly(tallies[column]) for column in columns if types[column] == pa.string()}
    doubts = [
        _doubt(content, column, kind, tallies[column], spec, connection) for column, kind in nearly.items() if kind
    ]
    return types, doubts


def _tally(
    content: Content, tallies: Mapping[str, Tally], spec: "SourceSpec", connection: "duckdb.DuckDBPyConnection"
) -> None:
    for batch in _timed(content, spec, connection):
        for column, tally in tallies.items():
            if tally.plausible is None:
                _look(
                    tally, batch[column], spec.format, numbers=column not in content.quoted or column in content.mixed
                )
        _count(batch, {column: tally for column, tally in tallies.items() if tally.counted}, spec.format, connection)


def _timed(content: Content, spec: "SourceSpec", connection: "duckdb.DuckDBPyConnection") -> Iterator[pa.Table]:
    """The rows whose times can be read."""
    times = [column for column in spec.times if column in content.schema.names]
    names = [f"c{nr}" for nr in range(len(times))]
    readable = [f"({cast(name, pa.string(), TYPES['timestamp'], spec.format)}) IS NOT NULL" for name in names]
    for batch in content.batches():
        rows = pa.Table.from_batches([batch])
        sql = f"SELECT {' AND '.join(readable)} AS readable FROM rows"
        yield rows.filter(query_arrow(connection, sql, rows=rows.select(times).rename_columns(names))["readable"])


def _look(tally: Tally, values: pa.ChunkedArray, text: "TextFormat", *, numbers: bool) -> None:
    """What the first values look like: cheaper than to count of each column what it is not."""
    present, sample = 0, list[str]()
    for start in range(0, len(values), _LOOKED_AT):
        words = [
            value.strip(" ") for value in values.slice(start, _LOOKED_AT).drop_null().to_pylist() if is_filled(value)
        ]
        present += len(words)
        # Words that stand for no value say nothing of the type.
        if sample := [value for value in words if value.lower() not in _WORDS][:_SAMPLE]:
            break
    else:
        tally.filled += present
        # In quotation marks NaN is a word, which no number can have written.
        tally.words |= not numbers and any(value.strip(" ") for value in values.drop_null().to_pylist())
        return
    kinds = [kind for kind in (*KINDS, *LOOKS) if numbers or kind not in _NUMBERS]
    patterns = {kind: re.compile(LOOKS.get(kind) or shape(kind, text), re.ASCII) for kind in kinds}
    matches = {kind: sum(bool(patterns[kind].fullmatch(value)) for value in sample) for kind in kinds}
    tally.plausible = tuple(kind for kind in kinds if 2 * matches[kind] >= len(sample))
    tally.counted = next(((kind,) for kind in tally.plausible if matches[kind] == len(sample)), ())
    tally.filled += 0 if tally.counted else len(sample)


def _count(
    rows: pa.Table, tallies: Mapping[str, Tally], text: "TextFormat", connection: "duckdb.DuckDBPyConnection"
) -> None:
    for tally, present in zip(
        tallies.values(), map_columns(connection, filled_condition("c"), [rows[c] for c in tallies]), strict=True
    ):
        tally.filled += _true(present)
    for kind in {kind for tally in tallies.values() for kind in tally.counted}:
        counted = {column: tally for column, tally in tallies.items() if kind in tally.counted}
        fitting = map_columns(
            connection, f"{filled_condition('c')} AND {_fits(kind, text)}", [rows[column] for column in counted]
        )
        for tally, fits in zip(counted.values(), fitting, strict=True):
            tally.fits[kind] += _true(fits)


def _true(values: pa.ChunkedArray) -> int:
    return int(pc.sum(values).as_py() or 0)


def _fits(kind: str, text: "TextFormat") -> str:
    """SQL of the column `c`."""
    trimmed = "trim(c)"
    if kind == "words":
        return f"lower({trimmed}) IN ({', '.join(map(literal, _WORDS))})"
    if kind in LOOKS or kind == "codes":
        return f"regexp_full_match({trimmed}, {literal(LOOKS.get(kind, _CODE))})"
    return fits_text("c", kind, text)


def _type(tally: Tally, column: str, content: Content) -> pa.DataType | None:
    if not tally.filled:
        return pa.string() if tally.words else None
    kinds = [kind for kind in KINDS if column not in content.quoted or kind not in _NUMBERS]
    return next((TYPES[kind] for kind in kinds if tally.fits[kind] == tally.filled), pa.string())


def _nearly(tally: Tally) -> str | None:
    """The type that nearly all values of a text column fit, if there is one; a code such as 00123 says that none is."""
    kinds = tally.plausible or ()
    if not kinds or tally.fits["codes"]:
        return None
    best = max(kinds, key=lambda kind: (tally.fits[kind], -kinds.index(kind)))
    fits, words = tally.fits[best], tally.fits["words"]
    enough = fits >= _NEARLY * tally.filled or (fits + words == tally.filled and 2 * fits >= tally.filled)
    return best if fits and enough else None


def _doubt(
    content: Content,
    column: str,
    kind: str,
    tally: Tally,
    spec: "SourceSpec",
    connection: "duckdb.DuckDBPyConnection",
) -> Doubt:
    fits, negation = _fits(kind, spec.format), "" if kind in LOOKS or tally.fits[kind] == tally.filled else "NOT"
    sql = f"SELECT c FROM rows WHERE {filled_condition('c')} AND {negation} coalesce({fits}, false) LIMIT 1"
    for batch in _timed(content, spec, connection):
        values = query_arrow(connection, sql, rows=batch.select([column]).rename_columns(["c"]))["c"]
        if len(values):
            return Doubt(column, kind, tally.fits[kind], tally.filled, str(values[0].as_py())[:60])
    return Doubt(column, kind, tally.fits[kind], tally.filled, "")
