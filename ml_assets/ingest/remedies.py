"""The lines of YAML that put a source right, as its author can paste them."""

import json
import re
from collections.abc import Sequence

from ml_assets.ingest.date_formats import date_formats
from ml_assets.ingest.inference import LOOKS, Doubt

_YAML_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
_LISTED = 20
_EPOCHS = {"epoch seconds": r"\d{9,10}(\.\d*)?", "epoch milliseconds": r"\d{12,13}", "epoch microseconds": r"\d{15,16}"}
_DECIMAL = "`format: {decimal: ','}`"


def type_line(column: str, kind: str) -> str:
    """The line that says the type of a column."""
    plain = re.fullmatch(r"[A-Za-z_]\w*", column, re.ASCII) and column.lower() not in _YAML_WORDS
    return f"`columns: {{{column if plain else json.dumps(column, ensure_ascii=False)}: {kind}}}`"


def question(file: str, doubts: Sequence[Doubt]) -> str:
    """What the author of a source has to decide before its table has types, column by column."""
    questions = "; ".join(f"column {doubt.column}: {_choices(doubt)}" for doubt in doubts)
    return f"{file}: the source has to say what these columns are. {questions}"


def valueless(columns: Sequence[str]) -> str:
    """What the author of a source should know of columns that have no value, and so no type, yet."""
    return (
        f"no value yet in {name_list(columns)}: such a column joins the table, with its type, when its first value "
        f"comes. Declare the type of one that a query needs before: {type_line(columns[0], 'double')}"
    )


def unfilled_columns(columns: Sequence[str]) -> str:
    """What the author of a source of documents should know of columns that no extractor fills."""
    return (
        f"{name_list(columns)}: null in new documents, for no extractor finds them any more. Name one that does: "
        "`extract: package.module:function`"
    )


def name_list(columns: Sequence[str]) -> str:
    """Some names for a sentence."""
    more = f" and {len(columns) - _LISTED:,} more" if len(columns) > _LISTED else ""
    return ", ".join(columns[:_LISTED]) + more


def time_remedy(value: str) -> str:
    """What to write where a time looks like a number, or like a date whose day and month are not clear; else empty."""
    if date_formats(value) or re.fullmatch(LOOKS["dates"], value.strip()):
        return f": write {_dated(value)} in the source if that is how its dates are written"
    if unit := next((unit for unit, form in _EPOCHS.items() if re.fullmatch(form, value.strip())), ""):
        return f": write `format: {{dates: [{unit}]}}` in the source if it counts from 1970"
    return ""


def number_remedy(column: str, value: str) -> str:
    """What to write where a number would lose its first character, or has a decimal comma; empty elsewhere."""
    if re.fullmatch(r"-?0\d+(\.\d*)?|\+\d+", value.strip()):
        return f": it would lose its first character, which {type_line(column, 'string')} of a new table keeps"
    if re.fullmatch(LOOKS["numbers with a decimal comma"], value.strip()):
        return f": write {_DECIMAL} in the source if that is its decimal mark"
    return ""


def _dated(value: str) -> str:
    """The line that says how dates like this one are written."""
    return " or ".join(f"`format: {{dates: ['{each}']}}`" for each in date_formats(value) or ("%d/%m/%Y",))


def _choices(doubt: Doubt) -> str:
    text, typed = type_line(doubt.column, "string"), type_line(doubt.column, doubt.kind)
    example, rest = json.dumps(doubt.example, ensure_ascii=False), doubt.filled - doubt.fits
    if doubt.kind in LOOKS:
        return (
            f"{doubt.fits:,} of {doubt.filled:,} values look like {doubt.kind}, such as {example}: "
            f"write {_dated(doubt.example) if doubt.kind == 'dates' else _DECIMAL}, or {text} if they are text"
        )
    if not rest:
        return (
            f"some of its {doubt.filled:,} values are quoted and some not, such as {example}: write {typed} or {text}"
        )
    return (
        f"{doubt.fits:,} of {doubt.filled:,} values are of type {doubt.kind} and {rest:,} not, such as {example}: "
        f"write {typed} to quarantine such rows, `format: {{missing: [{example}]}}` if it stands for a missing value, "
        f"or {text} if all are text"
    )
