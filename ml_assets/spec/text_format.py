"""How the text of a source is written where it is not written in the usual way."""

import codecs
import re
from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from ml_assets.spec.base import Declaration

Compression = Literal["gzip", "bz2", "xz", "zstd", "none"]

_DIRECTIVES = "aAbBdfHIjmMpSyYz%"
EPOCHS = {"epoch seconds": 1_000_000, "epoch milliseconds": 1_000, "epoch microseconds": 1}
"""Times that are numbers, by the words that declare them: their unit in microseconds, since 1970-01-01 UTC."""

_PROBE = datetime(2001, 2, 13, 14, 15, 16, tzinfo=UTC)  # no two of its parts are one number


class TextFormat(Declaration):
    """How CSV and JSON Lines of a source are written; what a file shows by itself need not be declared."""

    separator: str | None = Field(
        None,
        description="The character between two cells; recognised are comma, semicolon, tab and |. "
        "A blank stands for any number of them",
    )
    encoding: str | None = Field(
        None, description="A Python codec such as cp1252; recognised are UTF-8, and UTF-16 and UTF-32 with their mark"
    )
    compression: Compression | None = Field(None, description="Recognised by its first bytes, whatever the file's name")
    header: bool = Field(True, description="Whether the first line holds the names of the columns")
    names: list[str] | None = Field(None, description="The names of the columns, in place of those of the header")
    quote: str = Field('"', description="The mark around cells that hold a separator; empty: marks are plain text")
    escape: str | None = Field(None, description="The character before a mark within a quoted cell; else it is doubled")
    line_breaks: bool = Field(False, description="Quoted cells hold line breaks, also where they look like rows")
    final_newline: Literal["required", "optional"] = Field(
        "required", description="optional: a file whose last line does not end is whole all the same"
    )
    decimal: Literal[".", ","] = Field(".", description="The decimal mark of numbers")
    thousands: str | None = Field(None, description="The mark between groups of three digits")
    dates: list[str] = Field(
        default=[],
        description="strptime formats of all dates and times (%d/%m/%Y %H:%M), or one of "
        f"{', '.join(EPOCHS)}; in place of ISO 8601",
    )
    missing: list[str] = Field(default=[], description="Cells that stand for a missing value: [N/A, '-']")

    @field_validator("separator", "escape", "thousands")
    @classmethod
    def _one_sign(cls, sign: str | None) -> str | None:
        if sign is not None and (len(sign) != 1 or sign in "\r\n\0"):
            raise ValueError(f"{sign!r} is not one character: write ';' or \"\\t\"")
        return sign

    @field_validator("separator", "quote", "escape")
    @classmethod
    def _ascii(cls, sign: str | None) -> str | None:
        if sign and not (len(sign) == 1 and sign.isascii()):
            raise ValueError(f"{sign!r} is not one ASCII character: write one such as ';' or '|'")
        return sign

    @field_validator("encoding")
    @classmethod
    def _codec(cls, name: str | None) -> str | None:
        if name is not None and not _is_text(name):
            raise ValueError(f"{name!r} is not an encoding: write one that Python knows (cp1252, utf-16-le)")
        return name

    @field_validator("dates")
    @classmethod
    def _whole_dates(cls, formats: list[str]) -> list[str]:
        for each in (each for each in formats if each not in EPOCHS):
            unknown = re.sub(f"%[{_DIRECTIVES}]", "", each)
            if "%" in unknown:
                raise ValueError(f"{each!r}: known directives are {' '.join('%' + sign for sign in _DIRECTIVES)}")
            try:
                read = datetime.strptime(_PROBE.strftime(each), each).date()  # noqa: DTZ007 - a date only
            except ValueError:
                read = None
            if read != _PROBE.date():
                raise ValueError(
                    f"{each!r} does not hold day, month and year: write for example '%d/%m/%Y %H:%M'. A row that names "
                    "its year or month only is known when that has ended: add a column that says so"
                )
        return formats

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not self.header and not self.names:
            raise ValueError("header: false needs the names of the columns: names: [id, at, amount]")
        signs = [sign for sign in (self.separator, self.quote, self.escape) if sign]
        if len(set(signs)) < len(signs):
            raise ValueError(f"separator, quote and escape are not three different characters: {signs}")
        if self.thousands == self.decimal:
            raise ValueError(f"thousands and decimal are one character, {self.decimal!r}: they cannot be told apart")
        return self


def _is_text(encoding: str) -> bool:
    try:
        return bool(codecs.lookup(encoding)._is_text_encoding)  # noqa: SLF001 - codecs' only way to ask
    except LookupError:
        return False


ISO = TextFormat()
"""Text that is written in the usual way."""
