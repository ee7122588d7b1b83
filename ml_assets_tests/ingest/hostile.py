"""Names, cells and times that files of strangers hold; and whether a cell is what a table holds."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
from hypothesis import HealthCheck, settings

FEW = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
"""A second or two; the tests were run with a hundred times as many by hand."""

NAN = ("nan", "-nan", "+nan")
NAMES: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(["id", "amount", "c0", "c", "rows", "at cast", "readable", "position", "row", "a b", "ä", "*"]),
    st.sampled_from(["x.y", "?", 'a"b', "_c", "$", "select"]),
    st.text(st.characters(codec="utf-8", min_codepoint=32), min_size=1, max_size=4),
)
TIMES = st.sampled_from(["2025-01-01", "2025-01-02 03:04:05", "2025-01-01T00:00:00+02:00", "1600-02-29", "9999-12-31"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
CELLS: dict[str, st.SearchStrategy[str]] = {
    "integer": st.integers(-(2**63), 2**63 - 1).map(str),
    "double": st.floats(allow_nan=False, allow_infinity=False, width=64).map(repr),
    "boolean": st.sampled_from(["true", "false", "True", "FALSE"]),
    "date": st.dates(date(1, 1, 1)).map(str),
    "timestamp": st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(str),  # noqa: DTZ001 - text without a zone
    "code": st.from_regex(r"\A[+0]?[0-9]{1,7}\Z"),
    "text": TEXTS,
}


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


_READERS: dict[pa.DataType, Callable[[str], object]] = {
    pa.int64(): Decimal,
    pa.float64(): float,
    pa.bool_(): lambda text: {"true": True, "false": False}[text.lower()],
    pa.date32(): lambda text: date.fromisoformat(text[:10]),
    pa.timestamp("us"): _moment,
}


def is_gap(cell: str) -> bool:
    """Whether a cell of a number or a time is missing."""
    return cell.strip(" ").lower() in ("", *NAN)


def same_text(cell: str, value: Any, kind: pa.DataType) -> bool:
    """Whether a value of the table is what the cell of a text file says."""
    if value is None:
        return is_gap(cell)
    return bool(cell == value if kind == pa.string() else _READERS[kind](cell.strip(" ")) == value)
