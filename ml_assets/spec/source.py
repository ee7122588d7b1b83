"""What a source's `defs.yaml` declares."""

import json
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from ml_assets.spec.base import Declaration, Duration
from ml_assets.spec.expectation_names import is_of_rows, problem
from ml_assets.spec.function_path import FunctionPath
from ml_assets.spec.text_format import ISO, TextFormat

Kind = Literal["string", "integer", "double", "boolean", "timestamp", "date"]
Severity = Literal["warn", "quarantine", "block"]
Change = Literal["refuse", "replace", "append"]
Column = Annotated[str, StringConstraints(min_length=1)]

FILE_COLUMN = "_file"
"""The column of each source table that says from which file a row came (the SHA-256 of its content)."""

RECEIVED = "received_at"
"""The event time of a document: when its file was first seen, or what the source's `arrivals` say of it."""

POSITION = "_position"
REASON = "_reason"
RESERVED = {FILE_COLUMN, POSITION, REASON}
"""Column names that a file cannot use."""


class Expectation(Declaration):
    """One Great Expectations check: `type` and `severity` are ours, every other field is its own keyword.

    A misspelt name or keyword is refused here; values, and columns that a table does not have, when files come.
    """

    model_config = ConfigDict(extra="allow")

    type: str = Field(pattern=r"^expect_[a-z0-9_]+$", description="A Great Expectations name")
    severity: Severity = Field(
        "warn",
        description="warn: report; quarantine: keep the failing rows out; block: hold the whole file back",
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        if wrong := problem(self.type, list(self.kwargs)):
            raise ValueError(wrong)
        if self.severity == "quarantine" and not is_of_rows(self.type):
            raise ValueError(f"{self.type} judges the whole file and sends no row to quarantine: use warn or block")
        return self

    @property
    def kwargs(self) -> dict[str, Any]:
        """What Great Expectations is given: every field but `type` and `severity`."""
        return dict(self.model_extra or {})

    @property
    def columns(self) -> list[str]:
        """The columns that the keywords name; empty for an expectation about the whole table."""
        columns = [self.kwargs.get(key) for key in ("column", "column_A", "column_B")]
        listed = [self.kwargs.get(key) or [] for key in ("column_list", "column_set")]
        return [*(str(name) for name in columns if name), *(str(name) for names in listed for name in names)]

    @property
    def name(self) -> str:
        """The expectation for people: its type and its columns."""
        return f"{self.type}({', '.join(self.columns)})"

    @property
    def key(self) -> str:
        """What makes it the same one in another run: type and keywords; the severity may change."""
        return json.dumps({"type": self.type, **self.kwargs}, sort_keys=True, default=str)


class SourceSpec(Declaration):
    """A raw table: files that arrive, what their columns mean, and what must hold of them."""

    name: str = Field(description="The table: a Python identifier")
    files: str = Field(min_length=1, description="A glob below data/incoming, or a URL that fsspec opens")
    read: Literal["tables", "documents"] = Field(
        "tables",
        description="tables: rows of CSV, Parquet, JSON Lines; documents: each file (PDF, scan, text) is a row",
    )
    arrivals: str | None = Field(
        None,
        description="Of documents, a glob of JSON Lines with `document_id` (SHA-256) and `received_at`; default: a "
        "document arrives when it is first seen",
    )
    extract: FunctionPath | None = Field(
        None,
        description="Of documents, the function of a text that finds facts in it, as `package.module:function`; it "
        "returns a dataclass whose fields become columns. Default: a document has its text and how it was read",
    )
    event_time: str = Field(min_length=1, description="The column that says when a row happened (UTC)")
    known_at: str | None = Field(None, description="The column that says when a row became known (UTC)")
    format: TextFormat = Field(ISO, description="How CSV and JSON Lines are written, where it cannot be recognised")
    tolerance: Duration = Field(
        timedelta(days=1), description="How far after now an event time may lie; what lies further is quarantined"
    )
    key: list[Column] = Field(
        default=[],
        description="Columns that identify a row: one that is delivered later replaces the earlier one, from then on",
    )
    on_change: Change | None = Field(
        None,
        description="A path that was read and now holds other bytes: refuse: hold it back; replace: its rows take the "
        "place of those of before; append: they come on top. Default: refuse, with a key append",
    )
    columns: dict[str, Kind] | None = Field(
        None, description="Types of columns; what is not named is inferred from the first file"
    )
    expectations: list[Expectation] = Field(default=[], description="Great Expectations checks, file by file")
    description: str = Field("", description="What the rows are, for the catalogue")
    owners: list[str] = Field(default=[], description="Who is asked when the source breaks")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not (self.name.isidentifier() and self.name.isascii()):
            raise ValueError(f"name {self.name!r} is no identifier: use letters, digits and _ (order_lines)")
        self._check_location()
        self._check_documents()
        if repeated := [column for column in self.key if self.key.count(column) > 1]:
            raise ValueError(f"key names {repeated[0]} twice: name each column once")
        for column in self._named_columns():
            if column in RESERVED or not column:
                raise ValueError(f"column {column!r}: this name is taken by the lake, rename it in the file")
        for column in self.times:
            if (kind := (self.columns or {}).get(column, "timestamp")) != "timestamp":
                raise ValueError(f"columns: {column} is a time of the source, declare timestamp and not {kind}")
        return self

    @property
    def times(self) -> list[str]:
        """The columns that place a row in time: the event time, and the known-at time where there is one."""
        return [self.event_time, *([self.known_at] if self.known_at else [])]

    @property
    def kinds(self) -> dict[str, Kind]:
        """The declared types; the times of the source are timestamps whether declared or not."""
        return {**(self.columns or {}), **dict.fromkeys(self.times, "timestamp")}

    @property
    def changed(self) -> Change:
        """What becomes of a path that was read and now holds other bytes."""
        return self.on_change or ("append" if self.key else "refuse")

    def _check_location(self) -> None:
        if "://" not in self.files and (self.files.startswith("/") or ".." in self.files.split("/")):
            raise ValueError(
                f"files {self.files!r} leaves data/incoming: name a glob below it, or a URL (file:///archive/*.csv)"
            )

    def _check_documents(self) -> None:
        own = self.event_time != RECEIVED or self.known_at or self.columns or self.format != ISO
        if self.read == "documents" and own:
            raise ValueError(
                f"documents have columns of their own, and event_time {RECEIVED}: leave out known_at, columns, format"
            )
        if self.read == "documents" and self.key:
            raise ValueError("documents are identified by their content: leave key out")
        if self.arrivals and self.read != "documents":
            raise ValueError("arrivals are of documents: rows say themselves when they happened, leave it out")
        if self.extract and self.read != "documents":
            raise ValueError("extract is of the text of documents: of rows compute columns in SQL, leave it out")

    def _named_columns(self) -> list[str]:
        checked = [column for expectation in self.expectations for column in expectation.columns]
        return [*self.times, *self.key, *(self.columns or {}), *checked]
