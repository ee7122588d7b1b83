"""What became of the files of a source, as plain values: for `status`, and for a run that could not go on."""

from dataclasses import asdict
from typing import Any

from ml_assets.ingest.deliveries import standing_deliveries
from ml_assets.ingest.ledger import committed_entries
from ml_assets.ingest.left_files import read_left, reasons
from ml_assets.storage.lake import Lake


def state(lake: Lake, table: str) -> dict[str, Any]:
    """Rows, the last event and what was left of a source, from its record of files.

    `left` are files that stay where they are, each with `file` and `reason`; `quarantine_reasons` the three most
    frequent kinds, each with `reason` and `rows`.
    """
    entries = [one.entry for one in standing_deliveries(committed_entries(lake, table)).values()]
    latest = max((entry.reached for entry in entries if entry.reached), default=None)
    quarantined = sum(entry.quarantined for entry in entries)
    return {
        "files": len(entries),
        "rows": sum(entry.accepted for entry in entries),
        "quarantined": quarantined,
        "last_event": None if latest is None else latest.isoformat(timespec="seconds"),
        "quarantine_reasons": [asdict(reason) for reason in reasons(lake, table)] if quarantined else [],
        "left": [asdict(note) for note in read_left(lake, table)],
    }
