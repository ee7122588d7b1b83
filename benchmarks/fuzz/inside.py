"""In a process of its own: each decoder under spoilt bytes, without a wire, until the time is over."""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.fuzz.decoders import decoders, hostile, refused
from benchmarks.fuzz.mutation import chance
from ml_assets_tests.serving import papers, released
from ml_assets_tests.serving.served import Served


def spoil(seconds: float, seed: int) -> dict[str, Any]:
    """How many bodies were tried, and what was wrong with how they were taken."""
    data, until, tried, faults = Path(os.environ["ML_ASSETS_DATA"]), time.monotonic() + seconds, 0, dict[str, str]()
    released.release(data)
    papers.release(data)
    served = Served(data)
    with served.client, tempfile.TemporaryDirectory() as folder:
        known = decoders(served.worker, released.MODEL, papers.MODEL, Path(folder))
        while time.monotonic() < until:
            for name, one in known.items():
                body = hostile(chance((seed, name, tried)), one.good)
                if what := refused(one, body):
                    faults.setdefault(f"{name}: {what[:200]}", repr(body[:500]))
                tried += 1
    return {"tried": tried, "faults": faults}
