"""`python -m benchmarks fuzz-files`: the readers and the real ingest under bad files and names, for some minutes."""

import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, figures
from benchmarks.fuzz.processes import Watched, started
from benchmarks.fuzz.zone import endure
from benchmarks.process import call, say
from ml_assets.documents.document import LIMITS

TABLE = 30.0
"""Seconds that a small file of rows may take, on a machine that others use too."""

_WARM = 120.0  # until each kind of file has come


def measure(minutes: float, seed: int) -> list[Figure]:
    """Rounds of an ingest in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name, started() as ours:
        data = Path(name)
        found = call("fuzz.files:rounds", data, seconds=60 * minutes, seed=seed)
        remaining = len(ours.left())
    for kept in ("stopped", "lost"):
        for what, where in found[kept].items():
            say(f"{kept.upper()} {what} ({where})")
    say(f"MiB, minute by minute: {found['minutes']}")
    (size, opened), (size_then, opened_then) = found["first"], found["last"]
    longest, twice = found["longest"], 2 * LIMITS.seconds + LIMITS.seconds_per_page  # what crashed is tried again
    return [
        figures(f"files and names in {minutes:g} minutes, seed {seed}", "", [found["files"]]),
        figures("rows accepted", "", [found["accepted"]]),
        figures("rows quarantined", "", [found["quarantined"]]),
        figures("files refused by name", "", [found["refused"]]),
        figures("runs stopped", "", [len(found["stopped"])], limit=0),
        figures("rows or files of which nobody knows, good files not taken", "", [len(found["lost"])], limit=0),
        figures("the longest file of rows", "s", [longest.get("orders", 0)], limit=TABLE),
        figures("the longest document", "s", [longest.get("papers", 0)], limit=twice),
        figures("processes left", "", [remaining], limit=0),
        figures("memory, last minute against the first", "MiB", [size_then], [size], limit=1.1),
        figures("descriptors, last minute against the first", "", [opened_then], [opened], limit=1.2),
    ]


# --- in a process of its own


def rounds(seconds: float, seed: int) -> dict[str, Any]:
    """What was found; memory and descriptors of this process in the first and in the last minute."""
    watched = Watched(_WARM)

    def look() -> None:
        watched.look(os.getpid())

    look()
    found = endure(Path(os.environ["ML_ASSETS_DATA"]), seed, seconds, look)
    first, last = watched.first_and_last()
    return asdict(found) | {"first": first, "last": last, "minutes": watched.minutes()}
