"""The types of text columns: the narrowest that every value fits. Nulls, blanks and NaN decide nothing."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from ml_assets.duck import literal, quote
from ml_assets.errors import DataError
from ml_assets.sources.casts import TYPES, cast, filled, fits_text
from ml_assets.sources.content import Content, arrow

if TYPE_CHECKING:
    import duckdb

    from ml_assets.sources.spec import Kind, SourceSpec
    from ml_assets.sources.text_format import TextFormat

_KINDS: "tuple[Kind, ...]" = ("boolean", "integer", "double", "date", "timestamp")
_EXTRAS = ("words", "codes")
_NUMBERS = {"boolean", "integer", "double"}
_SAMPLE = 2_000  # rows after which a type that fits few of them is not looked at any more
_NEARLY = 0.9
_WORDS = (
    *("n/a", "na", "#n/a", "null", "none", "nil", "-", "--", ".", "?", "unknown", "missing", "undefined"),
    *(r"\n", "(null)", "<na>", "nat", "#null!", "#ref!", "#value!", "#div/0!", "not available", "tbd"),
)
_YAML_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
AT_ONCE = 40
"""Columns of one query: what DuckDB needs to plan one grows faster than its columns."""

# What is written in a way that has to be declared: its name, what it looks like, and the line of YAML.
_LOOKS = {
    "numbers with a decimal comma": (r"-?\d{1,3}(\.\d{3})*,\d+|-?\d+,\d+", "format: {decimal: ','}"),
    "dates": (
        r"\d{1,2}[./-]\d{1,2}[./-](\d{4}|\d{2})([ T].*)?|\d{1,2}[ -][A-Za-z]{3,9}\.?,?[ -]\d{2,4}([ T].*)?",
        "format: {dates: ['%d/%m/%Y']}",
    ),
}
DATE_LOOK, DATE_REMEDY = _LOOKS["dates"]
"""What a date looks like whose day and month are not clear, and what to write in the source."""


@dataclass
class _Tally:
    """What is counted of a column: its values, those that fit each type, and words that stand for no value."""

    live: list[str] = field(default_factory=lambda: [*_KINDS, *_LOOKS])
    filled: int = 0
    fits: Counter[str] = field(default_factory=Counter)

    def add(self, values: int, fits: dict[str, int]) -> None:
        self.filled += values
        self.fits.update(fits)
        if self.filled >= _SAMPLE:
            self.live = [kind for kind in self.live if 2 * self.fits[kind] >= self.filled]

    @property
    def asked(self) -> list[str]:
        """What is counted of the next rows."""
        return [*self.live, *_EXTRAS] if self.live else []


def infer(
    file: str, content: Content, columns: list[str], spec: "SourceSpec", connection: "duckdb.DuckDBPyConnection"
) -> dict[str, pa.DataType | None]:
    """The type of each text column; None for one without a value, which so takes its type later.

    Rows whose time cannot be read decide nothing: they go to the quarantine, as a second header line does.

    Raises:
        DataError: nearly all values of a column fit a type and some do not; the message counts them and holds the
            line of YAML that decides.
    """
    tallies = {column: _Tally() for column in columns}
    for batch in _timed(content, spec, connection):
        for chosen in _chunks([column for column in columns if tallies[column].live]):
            _count(batch, {column: tallies[column] for column in chosen}, spec.format, connection)
    types = {column: _type(tallies[column], column, content) for column in columns}
    doubtful = {
        column: kind
        for column in columns
        if types[column] == pa.string() and (kind := _nearly(tallies[column], column, content))
    }
    if doubtful:
        raise DataError(_question(file, content, doubtful, tallies, spec, connection))
    return types


def _chunks(columns: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(columns), AT_ONCE):
        yield columns[start : start + AT_ONCE]


def _timed(content: Content, spec: "SourceSpec", connection: "duckdb.DuckDBPyConnection") -> Iterator[pa.Table]:
    """The rows whose times can be read."""
    times = [column for column in spec.times if column in content.schema.names]
    readable = [f"({cast(c, pa.string(), TYPES['timestamp'], spec.format)}) IS NOT NULL" for c in times]
    for batch in content.batches():
        table = pa.Table.from_batches([batch])
        sql = f"SELECT {' AND '.join(readable) or 'true'} AS readable FROM rows"
        chosen = arrow(connection, sql, rows=table.select(times) if times else table)
        yield table.filter(chosen["readable"])


def _count(
    rows: pa.Table, tallies: dict[str, _Tally], text: "TextFormat", connection: "duckdb.DuckDBPyConnection"
) -> None:
    step = _SAMPLE if any(tally.filled < _SAMPLE for tally in tallies.values()) else max(rows.num_rows, 1)
    for start, length in ((0, step), (step, rows.num_rows)):
        part = rows.select(list(tallies)).slice(start, length)
        live = {column: tally for column, tally in tallies.items() if tally.live}
        if not part.num_rows or not live:
            continue
        renamed = part.select(list(live)).rename_columns([f"c{nr}" for nr in range(len(live))])
        asked = [(nr, kind) for nr, tally in enumerate(live.values()) for kind in tally.asked]
        counts = [_counted(f"c{nr}", _fits(f"c{nr}", kind, text)) for nr, kind in asked]
        counts += [_counted(f"c{nr}", "true") for nr in range(len(live))]
        aliased = ", ".join(f"{sql} AS n{nr}" for nr, sql in enumerate(counts))
        found = list(arrow(connection, f"SELECT {aliased} FROM rows", rows=renamed).to_pylist()[0].values())
        fits = dict(zip(asked, found, strict=False))
        for nr, tally in enumerate(live.values()):
            tally.add(found[len(asked) + nr], {kind: fits[nr, kind] for kind in tally.asked})


def _counted(column: str, condition: str) -> str:
    return f"count(*) FILTER (WHERE {filled(column)} AND {condition})"


def _fits(column: str, kind: str, text: "TextFormat") -> str:
    trimmed = f"trim({quote(column)})"
    if kind in _LOOKS:
        return f"regexp_full_match({trimmed}, {literal(_LOOKS[kind][0])})"
    if kind == "words":
        return f"lower({trimmed}) IN ({', '.join(map(literal, _WORDS))})"
    if kind == "codes":  # what no number begins with
        return f"regexp_full_match({trimmed}, '0\\d+|\\+\\d+')"
    return fits_text(column, kind, text)


def _type(tally: _Tally, column: str, content: Content) -> pa.DataType | None:
    if not tally.filled:
        return None
    allowed = [kind for kind in _KINDS if column not in content.quoted or kind not in _NUMBERS]
    return next((TYPES[kind] for kind in allowed if tally.fits[kind] == tally.filled), pa.string())


def _nearly(tally: _Tally, column: str, content: Content) -> str | None:
    """The type that nearly all values of a text column fit, if there is one; a code such as 00123 says that none is."""
    if tally.fits["codes"]:
        return None
    numbers = column not in content.quoted or column in content.mixed
    kinds = [kind for kind in (*_KINDS, *_LOOKS) if numbers or kind not in _NUMBERS]
    best = max(kinds, key=lambda kind: (tally.fits[kind], -kinds.index(kind)))
    fits, words = tally.fits[best], tally.fits["words"]
    enough = fits >= _NEARLY * tally.filled or (fits + words == tally.filled and 2 * fits >= tally.filled)
    return best if fits and enough else None


def _question(
    file: str,
    content: Content,
    doubtful: dict[str, str],
    tallies: dict[str, _Tally],
    spec: "SourceSpec",
    connection: "duckdb.DuckDBPyConnection",
) -> str:
    """What the author of the source has to decide, column by column, and the lines of YAML to choose from."""
    said: list[str] = []
    for column, kind in doubtful.items():
        tally = tallies[column]
        fits, rest = tally.fits[kind], tally.filled - tally.fits[kind]
        example = _example(content, column, kind, spec, connection, all_fit=not rest)
        text, typed = declared(column, "string"), declared(column, kind)
        shown = json.dumps(example, ensure_ascii=False)
        if not rest:
            what = (
                f"some of its {tally.filled:,} values are quoted and some not, such as {shown}: write {typed} or {text}"
            )
        elif kind in _LOOKS:
            what = (
                f"{fits:,} of {tally.filled:,} values look like {kind}, such as {shown}: "
                f"write `{_LOOKS[kind][1]}`, or {text} if they are text"
            )
        else:
            what = (
                f"{fits:,} of {tally.filled:,} values are of type {kind} and {rest:,} not, such as {shown}: "
                f"write {typed} to quarantine such rows, `format: {{missing: [{shown}]}}` if it stands for a missing "
                f"value, or {text} if all are text"
            )
        said.append(f"column {column}: {what}")
    return f"{file}: its types are to be decided in the source. " + "; ".join(said)


def declared(column: str, kind: str) -> str:
    """The line of YAML that says the type of a column."""
    plain = re.fullmatch(r"[A-Za-z_]\w*", column) and column.lower() not in _YAML_WORDS
    return f"`columns: {{{column if plain else json.dumps(column, ensure_ascii=False)}: {kind}}}`"


def _example(
    content: Content,
    column: str,
    kind: str,
    spec: "SourceSpec",
    connection: "duckdb.DuckDBPyConnection",
    *,
    all_fit: bool,
) -> str:
    """The first value that does not fit; of what only looks like something, the first that does."""
    fits, any_ = _fits("c", kind, spec.format), kind in _LOOKS or all_fit
    sql = f"SELECT c FROM rows WHERE {filled('c')} AND {'' if any_ else 'NOT'} coalesce({fits}, false) LIMIT 1"
    for batch in _timed(content, spec, connection):
        values = arrow(connection, sql, rows=batch.select([column]).rename_columns(["c"]))["c"]
        if len(values):
            return str(values[0].as_py())[:60]
    return ""
