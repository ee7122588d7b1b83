"""Quotation marks of a CSV file: a file that two readings fit is refused with its line.

A stray mark makes one cell of many lines. Every parser takes that, and none says a word; so the marks are looked
at before a parser is. A mark opens a cell only where a cell begins, and closes it only before a separator or the
end of a line. What looks like a row may lie within a quoted cell only where the source says so.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.errors import DataError
from ml_assets.ingest.readers.decoding import BLOCK, not_utf8

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ml_assets.ingest.files import Arrival

    Places = NDArray[np.int64]

_NEWLINE, _RETURN = 10, 13
# Three groups of digits, eight digits, or a day beside the name of a month.
_TIME = re.compile(r"\d+\D\d+\D\d+|^\D?\d{8,14}\D?$|\d\W*[A-Za-z]{3}|[A-Za-z]{3}\W*\d")


@dataclass(frozen=True)
class Dialect:
    """How the lines of a file are taken apart.

    Args:
        separator: between two cells.
        quote: around a cell; empty where marks are plain text.
        escape: before a mark within a cell, beside doubling it.
        columns: the cells of a row.
        time: which of them, from 0, holds the time of the row; None where that is not known.
        line_breaks: quoted cells may hold what looks like a row.
    """

    separator: str
    quote: str
    escape: str | None
    columns: int
    time: int | None
    line_breaks: bool


class Scan:
    """One pass over the text: counts the rows, and refuses what can be read in two ways."""

    def __init__(self, arrival: "Arrival", dialect: Dialect) -> None:
        self.rows = 0
        self._arrival, self._dialect = arrival, dialect
        self._lines = 0  # whole lines so far
        self._open = False
        self._opened = 1  # the line in which the open cell begins

    def read(self, blocks: Iterator[bytes], *, ends: bool) -> int:
        """The rows of the text, its header among them; blank lines are none.

        Args:
            blocks: UTF-8.
            ends: whether the last line has to end.

        Raises:
            DataError: a line is not UTF-8, a mark stands where no cell begins or ends, a cell is never closed, or
                the last line does not end.
        """
        rest = b""
        for block in blocks:
            # A return at the very end may be the first half of a line end.
            text = rest + block
            cut = max(text.rfind(b"\n"), text.rfind(b"\r", 0, len(text) - 1)) + 1
            if len(text) - cut > BLOCK:
                raise self._error(self._lines + 1, f"is longer than {BLOCK:,} bytes: deliver the file in parts")
            if cut:
                self._piece(text[:cut])
            rest = text[cut:]
        if rest:
            if ends and not rest.endswith(b"\r"):
                raise self._unfinished(rest)
            self._piece(rest if rest.endswith(b"\r") else rest + b"\n")
        if self._open:
            raise self._error(self._opened, "opens a quotation mark that is never closed: close it, or double it")
        return self.rows

    def _piece(self, text: bytes) -> None:
        """Whole lines; the text begins where a line does."""
        if not text.isascii():
            self._require_utf8(text)
        signs = np.frombuffer(text, np.uint8)
        ends = _line_ends(signs)
        marks = self._marks(text, signs, ends)
        inside = (np.searchsorted(marks, ends) + self._open) % 2 == 1
        if not self._dialect.line_breaks and (self._open or inside.any()):
            self._require_no_rows(text, ends, inside)
        self._count(signs, ends[~inside])
        if len(marks):
            self._opened = self._line(ends, int(marks[-1]))
        self._open = (len(marks) + self._open) % 2 == 1
        self._lines += len(ends)

    def _count(self, signs: "NDArray[np.uint8]", ends: "Places") -> None:
        if not len(ends):
            return
        starts = np.concatenate([[0], ends[:-1] + 1])
        lengths = ends - starts
        returns = (signs[np.maximum(ends - 1, 0)] == _RETURN) & (signs[ends] == _NEWLINE)
        blank = (lengths == 0) | ((lengths == 1) & returns)
        blank[0] &= not self._open
        self.rows += len(ends) - int(blank.sum())

    def _marks(self, text: bytes, signs: "NDArray[np.uint8]", ends: "Places") -> "Places":
        """The marks that open or close a cell; a doubled one closes and opens it."""
        quote = self._dialect.quote.encode()
        if not quote or quote not in text:
            return np.array([], np.int64)
        marks = np.flatnonzero(signs == ord(quote))
        if self._dialect.escape is None and self._all_open_or_close(signs, marks):
            return marks
        return np.array(list(self._one_by_one(text, marks.tolist(), ends)), np.int64)

    def _all_open_or_close(self, signs: "NDArray[np.uint8]", marks: "Places") -> bool:
        first = int(self._open)
        before = np.where(marks > 0, signs[marks - 1], _NEWLINE)[first::2]
        after = signs[marks[1 - first :: 2] + 1]
        edges = [ord(self._dialect.separator), _NEWLINE, _RETURN, ord(self._dialect.quote)]
        return bool(np.isin(before, edges).all() and np.isin(after, edges).all())

    def _one_by_one(self, text: bytes, marks: list[int], ends: "Places") -> Iterator[int]:
        quote, edges = ord(self._dialect.quote), (*self._dialect.separator.encode(), _NEWLINE, _RETURN)
        inside, opened, skipped = self._open, None, -1
        for place in marks:
            if place == skipped:
                continue
            if not inside:
                if place == 0 or text[place - 1] in edges:
                    inside, opened = True, place
                    yield place
            elif self._escaped(text, place):
                continue
            elif text[place + 1] == quote:
                skipped = place + 1
            elif text[place + 1] in edges:
                inside = False
                yield place
            else:
                raise self._stray(text, place, ends, self._opened if opened is None else self._line(ends, opened))

    def _escaped(self, text: bytes, place: int) -> bool:
        if self._dialect.escape is None:
            return False
        before = text[:place][-64:]
        return (len(before) - len(before.rstrip(self._dialect.escape.encode()))) % 2 == 1

    def _require_no_rows(self, text: bytes, ends: "Places", inside: "NDArray[np.bool_]") -> None:
        """Refuse a line within a quoted cell that is a row as well."""
        starts = np.concatenate([[0], ends[:-1] + 1])
        within = np.concatenate([[self._open], inside[:-1]])
        signs = np.frombuffer(text, np.uint8)
        separators = np.flatnonzero(signs == ord(self._dialect.separator))
        cells = np.searchsorted(separators, ends) - np.searchsorted(separators, starts) + 1
        for nr in np.flatnonzero(within & (cells >= self._dialect.columns)).tolist():
            line = text[starts[nr] : ends[nr]].decode().rstrip("\r")
            if self._is_row(line):
                raise self._error(
                    self._lines + nr + 1,
                    f"({line[:80]!r}) is a row of its own and part of a quoted cell that begins in a line before: "
                    "remove the stray quotation mark, write `format: {quote: ''}` if marks are plain text, or "
                    "`format: {line_breaks: true}` if cells hold such lines",
                )

    def _is_row(self, line: str) -> bool:
        try:
            cells = next(csv.reader([line], delimiter=self._dialect.separator, quotechar=self._dialect.quote))
        except csv.Error:
            return False
        if len(cells) != self._dialect.columns:
            return False
        return self._dialect.time is None or bool(_TIME.search(cells[self._dialect.time]))

    def _require_utf8(self, text: bytes) -> None:
        try:
            text.decode()
        except UnicodeDecodeError as error:
            before = text[: error.start]
            number = self._lines + len(_line_ends(np.frombuffer(before + b".", np.uint8))) + 1
            start = max(before.rfind(b"\n"), before.rfind(b"\r")) + 1
            raise not_utf8(self._arrival, number, text[start : error.start + 40].split(b"\n")[0]) from None

    def _line(self, ends: "Places", place: int) -> int:
        return self._lines + int(np.searchsorted(ends, place)) + 1

    def _stray(self, text: bytes, place: int, ends: "Places", opened: int) -> DataError:
        excerpt = text[max(place - 20, 0) : place + 20].decode(errors="ignore")
        return self._error(
            self._line(ends, place),
            f"closes the quoted cell that begins in line {opened} and goes on ({excerpt!r}): two readings fit. "
            "Double the marks within a quoted cell, write `format: {quote: ''}` if marks are plain text, or "
            '`format: {escape: "\\\\"}` if a backslash stands before them',
        )

    def _unfinished(self, rest: bytes) -> DataError:
        return self._error(
            self._lines + 1,
            f"({rest[-80:].decode(errors='replace')!r}), the last one, does not end, so the file may be half-written: "
            "deliver under a temporary name (.part) and rename. If it is whole, end the last line with a newline, "
            "or write `format: {final_newline: optional}`",
        )

    def _error(self, line: int, what: str) -> DataError:
        return DataError(f"{self._arrival.name}: line {line} {what}")


def _line_ends(signs: "NDArray[np.uint8]") -> "Places":
    """The last sign of each line: a newline, or a return that no newline follows."""
    newlines = signs == _NEWLINE
    returns = signs == _RETURN
    if returns.any():
        returns[:-1] &= ~newlines[1:]
        newlines = newlines | returns
    return np.flatnonzero(newlines)
