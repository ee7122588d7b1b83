"""What became of the files of a source: for a status, and for a run that could not go on."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from ml_assets.ingest.deliveries import standing_deliveries
from ml_assets.ingest.ledger import committed_entries
from ml_assets.ingest.left_files import quarantine_reasons, read_left
from ml_assets.ingest.report import Note, Reason
from ml_assets.storage.lake import Lake

if TYPE_CHECKING:
    from ml_assets.spec.source import SourceSpec


@dataclass(frozen=True)
class SourceState:
    """What became of the files of a source.

    Args:
        files: that are in the table.
        rows: in the table.
        quarantined: rows that are not.
        last_event: the latest event time, ISO text; None without rows.
        quarantine_reasons: the three most frequent kinds.
        left: files that stay where they are, with the reason.
    """

    files: int
    rows: int
    quarantined: int
    last_event: str | None
    quarantine_reasons: list[Reason]
    left: list[Note]


def source_state(lake: Lake, table: str) -> SourceState:
    """The state of the source that a raw table is of, from its record of files."""
    entries = [one.entry for one in standing_deliveries(committed_entries(lake, table)).values()]
    latest = max((entry.reached for entry in entries if entry.reached), default=None)
    quarantined = sum(entry.quarantined for entry in entries)
    return SourceState(
        files=len(entries),
        rows=sum(entry.accepted for entry in entries),
        quarantined=quarantined,
        last_event=None if latest is None else latest.isoformat(timespec="seconds"),
        quarantine_reasons=quarantine_reasons(lake, table) if quarantined else [],
        left=read_left(lake, table),
    )


def count_waiting(lake: Lake, table: str, spec: "SourceSpec", as_of: date) -> int:
    """How many documents arrived at `as_of` or after it; 0 of a source of rows, which nobody expects to be scored yet.

    Args:
        lake: the tables.
        table: the raw table of the source.
        spec: its declaration.
        as_of: of the run, which scored what arrived before.
    """
    if spec.read != "documents" or lake.version(table) is None:
        return 0
    rows = lake.query("SELECT count(*) AS n FROM t WHERE received_at >= $day", {"day": as_of}, t=table)
    return int(rows["n"][0].as_py())
