"""A look of the data sensor at a drop zone of many files: the first, and the next ones, where nothing is new."""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, figures
from benchmarks.process import call

LIMIT = 1.0  # seconds a look
LOOKS = 5


def measure(quick: bool) -> list[Figure]:
    """Looks at 10,000 files, and how a look grows."""
    found = {}
    for files in (100, 1_000) if quick else (1_000, 10_000):
        with tempfile.TemporaryDirectory() as data:
            found[files] = call("watch:looks", Path(data), files=files)["seconds"]
    (fewer, small), (more, large) = found.items()
    return [
        figures(f"a look of the data sensor at {more:,} files", "s", large, limit=LIMIT),
        figures(
            f"a file: {more:,} (ours) against {fewer:,} (peer)",
            "µs",
            [seconds / more * 1e6 for seconds in large],
            [seconds / fewer * 1e6 for seconds in small],
        ),
    ]


def looks(files: int) -> dict[str, Any]:
    """In the measured process: seconds of each look, Dagster's tick included."""
    import dagster as dg

    from ml_assets.components.sensors import data_sensor
    from ml_assets.spec.source import SourceSpec

    zone = Path(os.environ["ML_ASSETS_DATA"]) / "incoming" / "shop"
    zone.mkdir(parents=True)
    for number in range(files):
        (zone / f"{number:06}.csv").write_text("a\n")
    sensor = data_sensor("shop", [SourceSpec(name="orders", files="shop/*.csv", event_time="made_at")])
    cursor: str | None = None
    seconds = []
    for _ in range(LOOKS):
        started = time.perf_counter()
        tick = sensor(dg.build_sensor_context(cursor=cursor))
        assert isinstance(tick, dg.SensorResult)
        cursor = tick.cursor or cursor
        seconds.append(time.perf_counter() - started)
    return {"seconds": seconds}
