"""SQL that turns a value into another type without loss, or into null."""

import re

import pyarrow as pa

from ml_assets.errors import DataError
from ml_assets.spec.source import Kind
from ml_assets.spec.text_format import EPOCHS, ISO, TextFormat
from ml_assets.storage.duck import literal, quote

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

_ZONE = r"(Z|UTC|[+-](0\d|1[0-5])(:?[0-5]\d)?)"
_DATE = r"(\d{4}-\d{1,2}-\d{1,2}|\d{4}/\d{1,2}/\d{1,2})"
_TIMESTAMP = rf"{_DATE}([ T]\d{{1,2}}:\d{{2}}(:\d{{2}}(\.\d+)?)? ?{_ZONE}?)?"
_NAN = ("nan", "-nan", "+nan")
_SURE = 16  # a number of fewer characters is below 2^53


def kind_of(type_: pa.DataType) -> Kind | None:
    """The declared name of a stored type; None for one that cannot be declared (decimal, list ...)."""
    return next((kind for kind, stored in TYPES.items() if stored == type_), None)


def type_name(type_: pa.DataType) -> str:
    """A type as a user would declare it, or as Arrow calls it."""
    return kind_of(type_) or str(type_)


def cast(column: str, source: pa.DataType, target: pa.DataType, text: TextFormat = ISO) -> str:
    """SQL for the values of `column` as `target`, null where that would lose something.

    Text is trimmed first. A time with a zone becomes UTC, one without is UTC. NaN is missing: null.

    Args:
        column: its name in the relation that the SQL is run on.
        source: its type there.
        target: the type that it is to have.
        text: how text is read as numbers and times.

    Raises:
        DataError: the table holds a nested type and the file another one.
    """
    name, kind = quote(column), kind_of(target)
    if source == target:
        return f"CASE WHEN isnan({name}) THEN NULL ELSE {name} END" if kind == "double" else name
    if kind is None and not (pa.types.is_decimal(target) and (pa.types.is_decimal(source) or source == pa.int64())):
        raise DataError(
            f"column {column}: {type_name(source)} cannot become {target} without loss: deliver it as {target}"
        )
    if kind is None:
        return _there_and_back(name, str(source), str(target))
    if source == pa.int64() and kind == "timestamp" and not EPOCHS.keys().isdisjoint(text.dates):
        return _from_text(f"CAST({name} AS VARCHAR)", kind, text)
    return _from_text(name, kind, text) if source == pa.string() else _from_value(name, source, kind)


def filled_condition(column: str) -> str:
    """SQL that is true where text of `column` is neither null, blank nor NaN."""
    trimmed = f"lower(trim({quote(column)}))"
    return f"coalesce({trimmed} <> '' AND {trimmed} NOT IN {_NAN}, false)"


def is_filled(value: str) -> bool:
    """The same of one text."""
    return value.strip(" ").lower() not in ("", *_NAN)


def fits_text(column: str, kind: str, text: TextFormat = ISO) -> str:
    """SQL that is true where text of `column` reads as `kind` and could be written back.

    Codes are text: 00123 and +4912 would lose their first characters, 12E5 would become 1200000.
    """
    trimmed, text = f"trim({quote(column)})", _without_epochs(text)
    match kind:
        case "boolean":
            return f"regexp_full_match(lower({trimmed}), 'true|false')"
        case "date":
            days = [each for each in text.dates if not re.search("%[HIMSfpz]", each)]
            time = _time(trimmed, text.model_copy(update={"dates": days}))
            shaped = "true" if days else "false" if text.dates else f"regexp_full_match({trimmed}, '{_DATE}')"
            return f"({shaped} AND {time} IS NOT NULL)"
        case "timestamp":
            return f"({_time(trimmed, text)} IS NOT NULL)"
    value = _integer(quote(column), text) if kind == "integer" else _double(quote(column), text)
    return f"(regexp_full_match({trimmed}, {literal(shape(kind, text))}) AND ({value}) IS NOT NULL)"


def shape(kind: str, text: TextFormat = ISO) -> str:
    """A regular expression that text of this kind fits; it may fit other text too, such as the 30th of February."""
    match kind:
        case "boolean":
            return "(?i)true|false"
        case "date" | "timestamp" if _without_epochs(text).dates:
            return ".*"
        case "date":
            return _DATE
        case "timestamp":
            return _TIMESTAMP
    return _inferred(kind, text)


def _without_epochs(text: TextFormat) -> TextFormat:
    """A number is a time only where the source says so of its column."""
    return text.model_copy(update={"dates": [each for each in text.dates if each not in EPOCHS]})


def _whole(text: TextFormat) -> str:
    grouped = rf"|[1-9]\d{{0,2}}({re.escape(text.thousands)}\d{{3}})+" if text.thousands else ""
    return rf"(0|[1-9]\d*{grouped})"


def _inferred(kind: str, text: TextFormat) -> str:
    whole, point = _whole(text), re.escape(text.decimal)
    if kind == "integer":
        return f"-?{whole}"
    fraction = rf"({whole}{point}\d*|{point}\d+)"
    return rf"-?{whole}([eE][+-]\d+)?|[+-]?{fraction}([eE][+-]?\d+)?|-?(inf|INF|Infinity)"


def _number(name: str, text: TextFormat) -> str:
    """A number as SQL reads it: no marks between thousands, a point."""
    plain = f"trim({name})"
    if text.thousands:
        plain = f"replace({plain}, {literal(text.thousands)}, '')"
    return plain if text.decimal == "." else f"replace({plain}, {literal(text.decimal)}, '.')"


def _from_text(name: str, kind: str, text: TextFormat) -> str:
    trimmed = f"trim({name})"
    whole, point = _whole(text), re.escape(text.decimal)
    match kind:
        case "integer":
            pattern = literal(rf"-?{whole}({point}0*)?")
            return f"CASE WHEN regexp_full_match({trimmed}, {pattern}) THEN {_integer(name, text)} END"
        case "double":
            pattern = literal(rf"(?i)[+-]?({whole}({point}\d*)?|{point}\d+)(e[+-]?\d+)?|[+-]?inf(inity)?")
            return f"CASE WHEN regexp_full_match({trimmed}, {pattern}) THEN {_double(name, text)} END"
        case "timestamp":
            return _time(trimmed, text)
        case "date":
            time = _time(trimmed, text)
            return f"CASE WHEN {time} = CAST({time} AS DATE) THEN CAST({time} AS DATE) END"
    return f"TRY_CAST({trimmed} AS {_SQL[kind]})"


def _integer(name: str, text: TextFormat) -> str:
    return f"TRY_CAST({_number(name, text)} AS BIGINT)"


def _double(name: str, text: TextFormat) -> str:
    """Whole numbers exact or none; of a fraction the nearest double is meant."""
    number = _number(name, text)
    double = f"TRY_CAST({number} AS DOUBLE)"
    digits = f"regexp_replace({number}, '\\.0*$', '')"
    exact = f"TRY_CAST({double} AS HUGEINT) = TRY_CAST({digits} AS HUGEINT)"
    short = f"length({number}) < {_SURE} OR NOT regexp_full_match({number}, '[+-]?\\d+(\\.0*)?')"
    # DuckDB reads 1e400 as infinity
    finite = f"NOT isinf({double}) OR contains(lower({number}), 'inf')"
    return f"CASE WHEN ({finite}) AND ({short} OR {exact}) THEN {double} END"


def _time(trimmed: str, text: TextFormat) -> str:
    """A time with a zone is moved to UTC; outside the years 1 to 9999 no tool can show it."""
    time = _declared_time(trimmed, text.dates) if text.dates else _iso_time(trimmed)
    return f"(CASE WHEN ({time}) {CALENDAR} THEN {time} END)"


CALENDAR = "BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999'"
"""SQL: the times that exist outside of this machine too."""


def _iso_time(trimmed: str) -> str:
    """DuckDB's TIMESTAMP ignores a zone, and its TIMESTAMPTZ reads text without one in the machine's: two cases."""
    joined = f"regexp_replace({trimmed}, ' ([+-])', '\\1')"
    zoned = f"make_timestamp(epoch_us(TRY_CAST({joined} AS TIMESTAMPTZ)))"
    choice = f"CASE WHEN regexp_full_match({trimmed}, '.*:.*{_ZONE}') THEN {zoned}"
    choice += f" ELSE TRY_CAST({trimmed} AS TIMESTAMP) END"
    return f"CASE WHEN regexp_full_match({trimmed}, '{_TIMESTAMP}') THEN {choice} END"


def _declared_time(trimmed: str, formats: list[str]) -> str:
    """The time that every format that fits the text reads; null where two of them differ."""
    times = ", ".join(_parsed(trimmed, each) for each in formats)
    read = f"list_distinct([{times}])"  # leaves nulls out
    return f"CASE WHEN len({read}) = 1 THEN {read}[1] END"


def _parsed(trimmed: str, each: str) -> str:
    if unit := EPOCHS.get(each):
        digits = 18 - len(str(unit))  # more would be after the year 5000
        number = f"CAST(CAST({trimmed} AS DECIMAL(38, 9)) * {unit} AS BIGINT)"
        shaped = f"regexp_full_match({trimmed}, '-?\\d{{1,{digits}}}(\\.\\d*)?')"
        return f"CASE WHEN {shaped} THEN make_timestamp({number}) END"
    time = f"make_timestamp(epoch_us(try_strptime({trimmed}, {literal(each)})))"
    # Without this, 1/2/25 is a day of the year 25.
    return f"CASE WHEN regexp_matches({trimmed}, '\\d{{4}}') THEN {time} END" if "%Y" in each else time


def _from_value(name: str, source: pa.DataType, kind: Kind) -> str:
    if kind == "string":
        if source == pa.binary():
            return f"TRY(decode({name}))"
        value = f"CAST({name} AS VARCHAR)"
        # 12346.0 is what a file with gaps makes of the integer 12346.
        whole = f"{name} = trunc({name}) AND abs({name}) < 9007199254740992"
        double = f"CASE WHEN isnan({name}) THEN NULL WHEN {whole} THEN CAST(CAST({name} AS BIGINT) AS VARCHAR)"
        return f"{double} ELSE {value} END" if source == pa.float64() else value
    times = {TYPES["timestamp"], TYPES["date"]}
    if {source, TYPES[kind]} & times and not {source, TYPES[kind]} <= times:
        return f"CAST(NULL AS {_SQL[kind]})"  # a number is no time: its unit would be a guess
    back = kind_of(source)
    source_type = _SQL[back] if back else str(source) if pa.types.is_decimal(source) else None
    if source_type is None:
        return f"CAST(NULL AS {_SQL[kind]})"
    return _there_and_back(name, source_type, _SQL[kind])


def _there_and_back(name: str, source: str, target: str) -> str:
    """The value as `target` where it is the same again as `source`: both are named as SQL or Arrow calls them."""
    there, back = _sql_name(target), _sql_name(source)
    value = f"TRY_CAST({name} AS {there})"
    return f"CASE WHEN TRY_CAST({value} AS {back}) = {name} THEN {value} END"


def _sql_name(type_: str) -> str:
    return re.sub(r"^decimal\d+", "DECIMAL", type_).replace("int64", "BIGINT")
