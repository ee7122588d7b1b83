"""SQL that turns a value into another type without loss, or into null."""

import pyarrow as pa

from ml_assets.duck import quote
from ml_assets.errors import DataError
from ml_assets.sources.spec import Kind

TYPES: dict[Kind, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
    "date": pa.date32(),
}
_SQL = {"string": "VARCHAR", "integer": "BIGINT", "double": "DOUBLE", "boolean": "BOOLEAN", "date": "DATE"}
_SQL["timestamp"] = "TIMESTAMP"

_INTEGER = r"[+-]?\d+(\.0*)?"
_DOUBLE = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?"
_ZONE = r"(Z|UTC|[+-]\d{2}(:?\d{2})?)"
_DATE = r"\d{4}-\d{1,2}-\d{1,2}"
_TIMESTAMP = rf"{_DATE}([ T]\d{{1,2}}:\d{{2}}(:\d{{2}}(\.\d+)?)? ?{_ZONE}?)?"
# A code such as 00123 is text: its zeros would be lost.
_INFERRED = {
    "boolean": "true|false",
    "integer": r"[+-]?(0|[1-9]\d*)",
    "double": r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?",
    "date": _DATE,
    "timestamp": _TIMESTAMP,
}


def kind_of(type_: pa.DataType) -> Kind | None:
    """The declared name of a stored type; None for one that cannot be declared (decimal, list ...)."""
    return next((kind for kind, known in TYPES.items() if known == type_), None)


def named(type_: pa.DataType) -> str:
    """A type as a user would declare it, or as Arrow calls it."""
    return kind_of(type_) or str(type_)


def cast(column: str, source: pa.DataType, target: pa.DataType) -> str:
    """SQL for the values of `column` as `target`, null where that would lose something.

    Text is trimmed first. A time with a zone becomes UTC, one without is UTC. NaN is no number: null.

    Raises:
        DataError: the table holds a nested or decimal type and the file another one.
    """
    name, kind = quote(column), kind_of(target)
    if source == target:
        return f"CASE WHEN isnan({name}) THEN NULL ELSE {name} END" if kind == "double" else name
    if kind is None:
        raise DataError(f"{column}: {source} cannot become {target} without loss: deliver it as {target}")
    return _from_text(name, kind) if kind_of(source) == "string" else _from_value(name, kind_of(source), kind)


def fits_text(column: str, kind: str) -> str:
    """SQL that is true where all text of `column` reads as `kind` and could be written back."""
    trimmed = f"trim({quote(column)})"
    pattern = f"regexp_full_match(lower({trimmed}), '{_INFERRED[kind].lower()}')"
    if kind == "boolean":
        return pattern
    if kind in ("date", "timestamp"):
        pattern = f"regexp_full_match({trimmed}, '{_INFERRED[kind]}')"
    return f"({pattern} AND ({_from_text(quote(column), kind)}) IS NOT NULL)"


def _from_text(name: str, kind: str) -> str:
    text = f"trim({name})"
    match kind:
        case "integer":
            whole = f"TRY_CAST(regexp_replace({text}, '\\.0*$', '') AS BIGINT)"
            return f"CASE WHEN regexp_full_match({text}, '{_INTEGER}') THEN {whole} END"
        case "double":
            double = f"TRY_CAST({text} AS DOUBLE)"
            exact = f"TRY_CAST({double} AS HUGEINT) = TRY_CAST({text} AS HUGEINT)"
            plain = f"(NOT regexp_full_match({text}, '[+-]?\\d+') OR {exact})"
            shaped = f"regexp_full_match(lower({text}), lower('{_DOUBLE}'))"
            # DuckDB reads 1e400 as infinity
            finite = f"(NOT isinf({double}) OR contains(lower({text}), 'inf'))"
            return f"CASE WHEN {shaped} AND {plain} AND {finite} THEN {double} END"
        case "timestamp":
            return _time(text)
        case "date":
            time = _time(text)
            return f"CASE WHEN {time} = CAST({time} AS DATE) THEN CAST({time} AS DATE) END"
    return f"TRY_CAST({text} AS {_SQL[kind]})"


def _time(text: str) -> str:
    """A time with a zone is moved to UTC.

    DuckDB's TIMESTAMP ignores a zone, and its TIMESTAMPTZ reads text without one in the machine's: two cases.
    """
    zoned = f"make_timestamp(epoch_us(TRY_CAST({text} AS TIMESTAMPTZ)))"
    naive = f"TRY_CAST({text} AS TIMESTAMP)"
    choice = f"CASE WHEN regexp_full_match({text}, '.*:.*{_ZONE}') THEN {zoned} ELSE {naive} END"
    return f"CASE WHEN regexp_full_match({text}, '{_TIMESTAMP}') THEN {choice} END"


def _from_value(name: str, source: Kind | None, kind: Kind) -> str:
    if kind == "string":
        text = f"CAST({name} AS VARCHAR)"
        # 12346.0 is what a file with gaps makes of the integer 12346.
        whole = f"{name} = trunc({name}) AND abs({name}) < 9007199254740992"
        double = f"CASE WHEN {whole} THEN CAST(CAST({name} AS BIGINT) AS VARCHAR) ELSE {text} END"
        return double if source == "double" else text
    if {source, kind} & {"timestamp", "date"} and not {source, kind} <= {"timestamp", "date"}:
        return f"CAST(NULL AS {_SQL[kind]})"  # a number is no time: its unit would be a guess
    value = f"TRY_CAST({name} AS {_SQL[kind]})"
    back = f"TRY_CAST({value} AS {_SQL[source]})" if source else value
    return f"CASE WHEN {back} = {name} THEN {value} END"
