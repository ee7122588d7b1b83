"""The release record: what it takes to verify a long one, and to look at a signature."""

import tempfile
import time
from datetime import datetime
from pathlib import Path

from benchmarks.figure import Figure, figures

_NOW = datetime(2026, 12, 1, 5)  # noqa: DTZ001 - the lake's times are naive UTC


def measure(quick: bool) -> list[Figure]:
    """Processor time, for the machine may be busy."""
    from ml_assets.release.chain import RecordRow, ledger, verify_chain
    from ml_assets.release.sign import KeyFolder
    from ml_assets.storage.lake import Lake

    entries, repetitions = (50, 1) if quick else (1000, 5)
    with tempfile.TemporaryDirectory(prefix="release-") as name:
        key, lake = KeyFolder.at(Path(name)).open(), Lake(f"{name}/lake")
        rows, previous = list[RecordRow](), None
        began = time.process_time()
        for number in range(1, entries + 1):
            rows.append(RecordRow.of(key.sign(_entry(number, previous))))
            previous = rows[-1].sha256
        signing = (time.process_time() - began) / entries * 1e6
        ledger("churn").append(lake, *rows)
        took = []
        for _ in range(repetitions):
            began = time.process_time()
            verify_chain("churn", ledger("churn").history(lake), {key.public})
            took.append(time.process_time() - began)
    return [
        figures(f"a record of {entries:,} entries read and verified", "s", took, limit=None if quick else 1.0),
        figures("an entry signed", "µs", [signing]),
    ]


def _entry(number: int, previous: str | None) -> dict[str, object]:
    """As long as that of a candidate."""
    checks = [
        {"name": f"check{nr}", "status": "passed", "reason": "because " * 12, "value": nr / 7} for nr in range(11)
    ]
    return {
        "model": "churn", "stage": "candidate", "version": number, "number": number, "previous": previous,
        "written_at": f"{_NOW.isoformat()}Z", "circumstances": {}, "checks": checks, "manifest": "0" * 64,
    }  # fmt: skip
