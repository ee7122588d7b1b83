"""What an ingest reports: frozen, and plain enough for JSON."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Ingest:
    """One committed file, for the fingerprint of what was computed from it.

    Args:
        sha: SHA-256 of the content.
        earliest: when its first row was known, the minimum over its rows of max(event time, known-at time);
            what was computed as of this time or before is untouched by the file.
        latest: the event time of its last row.
    """

    sha: str
    earliest: datetime
    latest: datetime


@dataclass(frozen=True)
class Note:
    """A file that was left where it is, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Drift:
    """How a column of a file differs from the table.

    Args:
        verdict: `added` (new column, null in older rows), `cast` (another type: value by value, without
            loss) or `absent` (a column that a later file added, null in these rows).
        detail: one sentence.
        unfit: rows that went to the quarantine because their value did not fit.
    """

    file: str
    column: str
    verdict: str
    detail: str
    unfit: int = 0


@dataclass(frozen=True)
class Checked:
    """An expectation over every committed file that was checked against it.

    Args:
        name: the type and the column, for people.
        files: committed files that were checked.
        failed: those in which the expectation failed (for a row-level one: more than `mostly` allows).
        elements: values looked at.
        unexpected: values that broke it.
        examples: a few of them, as text.
    """

    name: str
    type: str
    severity: str
    kwargs: dict[str, Any]
    files: int
    failed: int
    elements: int
    unexpected: int
    examples: tuple[str, ...]

    @property
    def success(self) -> bool:
        """No committed file broke it."""
        return self.failed == 0


@dataclass(frozen=True)
class Ingested:
    """The result of one ingest: what this run did, and the state that it leaves.

    Args:
        table: the table of the accepted rows; `<table>_quarantine` and `<table>_files` stand beside it.
        version: the Delta version of `table`; None while no file was accepted.
        new_files: files that this run committed.
        accepted: rows that this run added.
        quarantined: rows that this run put into the quarantine.
        files: committed files of all runs.
        rows: accepted rows of all runs.
        in_quarantine: quarantined rows of all runs.
        refused: files that cannot be read or do not fit the table; they stay where they are.
        held_back: files in which a `block` expectation failed; none of their rows is in the lake.
        drift: schema verdicts of this run's files, refused and held-back ones left out.
        warnings: what the author of the source should know, such as columns that have no type yet.
        beside: what lies in the source's folder and is not matched by its pattern; folders end with a slash.
        expectations: each declared expectation over all committed files.
        earliest: the first event time in the table.
        latest: the last one: the watermark.
        touched: this run's files, for the feature store.
    """

    table: str
    version: int | None
    new_files: tuple[str, ...]
    accepted: int
    quarantined: int
    files: int
    rows: int
    in_quarantine: int
    refused: tuple[Note, ...]
    held_back: tuple[Note, ...]
    drift: tuple[Drift, ...]
    warnings: tuple[str, ...]
    beside: tuple[str, ...]
    expectations: tuple[Checked, ...]
    earliest: datetime | None
    latest: datetime | None
    touched: tuple[Ingest, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain dicts, lists, numbers and text; times in ISO 8601."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON has no narrower type
    match value:
        case dict():
            return {str(key): _plain(part) for key, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return value.isoformat()
    return str(value)
