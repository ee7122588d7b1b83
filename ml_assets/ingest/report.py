"""What an ingest reports: frozen, and plain enough for JSON."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ml_assets.ingest.deliveries import ALWAYS, Visibility


@dataclass(frozen=True)
class FilePart:
    """Rows of a file that are seen from one moment on.

    Args:
        earliest: when the first of them was known, the minimum of max(event time, known-at time).
        latest: the last event time among them and the rows that they correct.
        since: what ends at this time or before does not see them; None: their own times say it all.
    """

    earliest: datetime
    latest: datetime
    since: datetime | None = None

    def touches(self, start: datetime | None, end: datetime) -> bool:
        """Whether a window from `start` (None: unbounded) to `end` (exclusive) is another with these rows."""
        is_visible = self.earliest < end and (self.since is None or self.since < end)
        return is_visible and (start is None or self.latest >= start)


@dataclass(frozen=True)
class Ingest:
    """One committed file, for the fingerprint of what was computed from it.

    Args:
        sha: SHA-256 of the content.
        earliest: when its first row was known, the minimum over its rows of max(event time, known-at time);
            what was computed as of this time or before is untouched by the file.
        latest: the event time of its last row.
        reached: how far the feed is known by it: the last event time that is not after its delivery.
        shown: when its rows are seen, by the end of a window.
        parts: its rows by when they are seen, where some of them correct others.
    """

    sha: str
    earliest: datetime
    latest: datetime
    reached: datetime | None
    shown: tuple[Visibility, ...] = ALWAYS
    parts: tuple[FilePart, ...] | None = None

    def touches(self, start: datetime | None, end: datetime) -> bool:
        """Whether a window from `start` (None: unbounded) to `end` (exclusive) is another with this file."""
        parts = (FilePart(self.earliest, self.latest),) if self.parts is None else self.parts
        is_visible = any(interval.holds(end) for interval in self.shown)
        return is_visible and any(part.touches(start, end) for part in parts)


@dataclass(frozen=True)
class Note:
    """A file that was left where it is, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Reason:
    """A kind of reason for which rows went to the quarantine: one of them, and how many rows."""

    reason: str
    rows: int


@dataclass(frozen=True)
class SchemaDrift:
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
        refused: files that cannot be read, do not fit the table, or hold other bytes than before; they stay where
            they are.
        held_back: files in which a `block` expectation failed; none of their rows is in the lake.
        drift: schema verdicts of this run's files, refused and held-back ones left out.
        warnings: what the author of the source should know, such as columns that have no type yet.
        beside: what lies in the source's folder and is not matched by its pattern; folders end with a slash.
        expectations: each declared expectation over all committed files.
        earliest: the first event time in the table.
        latest: the last one that is not after its delivery: the watermark.
        touched: this run's files, for the feature store.
        reasons: why rows are in the quarantine, the three most frequent kinds: of this run, or else of all runs.
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
    drift: tuple[SchemaDrift, ...]
    warnings: tuple[str, ...]
    beside: tuple[str, ...]
    expectations: tuple[Checked, ...]
    earliest: datetime | None
    latest: datetime | None
    touched: tuple[Ingest, ...]
    reasons: tuple[Reason, ...] = ()

    @property
    def left(self) -> tuple[Note, ...]:
        """Every file that stays where it is."""
        return self.refused + self.held_back

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
