"""`python -m benchmarks [NAME …] [--json FILE] [--quick]`: the table, against the peers, in one run."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import (
    alarms,
    asof,
    classify,
    decisions,
    doors,
    drift,
    estimate,
    fairness,
    featurestore,
    growth,
    load,
    loop,
    reading,
    reasons,
    release,
    scale,
    search,
    serve,
    serve_soak,
    serve_split,
    watch,
)
from benchmarks.figure import Figure, table
from benchmarks.fuzz import files as fuzz_files
from benchmarks.fuzz import server as fuzz_server
from benchmarks.machine import describe
from benchmarks.soak import run as soak_faults

BENCHMARKS: dict[str, Callable[[bool], list[Figure]]] = {
    "loop": loop.measure,
    "load": load.measure,
    "scale": scale.measure,
    "asof": asof.measure,
    "alarms": alarms.measure,
    "decisions": decisions.measure,
    "drift": drift.measure,
    "estimate": estimate.measure,
    "fairness": fairness.measure,
    "watch": watch.measure,
    "growth": growth.measure,
    "featurestore": featurestore.measure,
    "reading": reading.measure,
    "reasons": reasons.measure,
    "classify": classify.measure,
    "search": search.measure,
    "release": release.measure,
    "serve": serve.measure,
    "soak": serve_soak.measure,
    "split": serve_split.measure,
    "doors": doors.measure,
}
ENDURANCE: dict[str, Callable[[float, int], list[Figure]]] = {
    "fuzz-server": fuzz_server.measure,
    "fuzz-files": fuzz_files.measure,
}
"""What runs for as many minutes as are asked for, by name only."""


def main() -> int:
    """Measure what was named (default: everything); 1 if a promise is not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    some = f"{', '.join(BENCHMARKS)} [default: all of these]; or {', '.join(ENDURANCE)}"
    parser.add_argument("names", nargs="*", metavar="NAME", help=some)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every repetition as JSON too")
    parser.add_argument("--quick", action="store_true", help="small and once: does it run? The numbers mean little")
    parser.add_argument("--faults", action="store_true", help="soak: take something away from the server each minute")
    parser.add_argument("--minutes", type=float, default=10, metavar="N", help="of what runs by the clock [10]")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of what is thrown at it [1]")
    chosen = parser.parse_args()
    # Bytecode is kept, as on any user's machine: else ours compiles seventy modules at each start, and the peer one.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if unknown := set(chosen.names) - BENCHMARKS.keys() - ENDURANCE.keys():
        parser.error(f"no benchmark {min(unknown)!r}: choose from {', '.join((*BENCHMARKS, *ENDURANCE))}")
    runs = {name: partial(measure, chosen.quick) for name, measure in BENCHMARKS.items()}
    runs |= {name: partial(measure, chosen.minutes, chosen.seed) for name, measure in ENDURANCE.items()}
    if chosen.faults:
        runs["soak"] = partial(soak_faults.measure, chosen.minutes, chosen.seed)
    machine, found = describe(), _measured({name: runs[name] for name in chosen.names or BENCHMARKS})
    if chosen.json:
        plain = {name: [figure.to_json() for figure in figures] for name, figures in found.items()}
        chosen.json.write_text(json.dumps({"machine": machine, "benchmarks": plain}, indent=1, ensure_ascii=False))
    return int(any(figure.met is False for figures in found.values() for figure in figures))


def _measured(runs: dict[str, Callable[[], list[Figure]]]) -> dict[str, list[Figure]]:
    """Run benchmarks one after the other; each prints its part of the table when it is done."""
    print(describe())
    found = {}
    for name, measure in runs.items():
        print(f"{name} …", file=sys.stderr)
        found[name] = measure()
        print(f"\n### {name}\n\n{table(found[name])}", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
