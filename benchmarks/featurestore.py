"""Training sets of up to 50,000 customers × 90 days × 10 features, and online reads, against Feast, DuckDB and polars.

Everybody reads the same features and the same rows, and must give each row the same values; 2.7 % of the rows are past
the TTL. Bare DuckDB and polars read one Parquet file of features; ours reads the kept Delta table, after asking the
sources whether it still says what they say. Feast and polars live in environments of their own.

Feast's default engine joins every row with all dates of its customer before it looks at a time: 4.5 million rows would
be 365 million of ten columns. It is asked one row in thirty there (one in fifteen at 10,000), and ours the same beside
it. It leaves out the rows that are past the TTL, which the others keep.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.environment import environment, foreign
from benchmarks.featurestore_data import DAYS
from benchmarks.figure import Figure, figures
from benchmarks.process import BenchmarkError, Measured, call, say

FEAST, POLARS = ("feast[duckdb]==0.67.0",), ("polars==2.1.0", "pyarrow")
# Customers → one row in how many Feast's default engine is asked.
SIZES = {1_000: 1, 10_000: 15, 50_000: 30}
Runs = dict[str, list[Measured]]


def measure(quick: bool) -> list[Figure]:
    """Training sets at every size, then online reads at the largest."""
    sizes = {500: 1, 1_000: 15} if quick else SIZES
    largest, found = max(sizes), []
    with tempfile.TemporaryDirectory() as folder:
        peers = {
            "feast": environment(Path(folder) / "feast", "feast", FEAST),
            "polars": environment(Path(folder) / "polars", "polars", POLARS),
        }
        for customers, thinned in sizes.items():
            data = Path(folder) / str(customers)
            data.mkdir()
            made = call("featurestore_data:generate", data, customers=customers, thinned=thinned)
            say(f"{customers:,} customers, {made['rows']:,} rows, {made['past'] / made['rows']:.1%} past the TTL")
            runs = _training_sets(peers, data, thinned, repetitions=1 if quick else 3)
            _same(runs)
            found += _figures(runs, customers, thinned, promised=customers == largest and not quick)
        found += _online(peers["feast"], data, largest, quick=quick)
    return found


def _training_sets(peers: Mapping[str, Path], data: Path, thinned: int, *, repetitions: int) -> Runs:
    runs: Runs = {side: [] for side in ("ours", "duckdb", "polars", "feast", "thinned", "default")}
    for repetition in range(repetitions):
        say(f"training sets, {repetition + 1} of {repetitions}")
        runs["ours"].append(call("featurestore_ours:ours", data, every=1))
        runs["duckdb"].append(call("featurestore_ours:duckdb", data, every=1))
        runs["polars"].append(foreign(peers["polars"], "featurestore_peers:polars", data, every=1))
        runs["thinned"].append(call("featurestore_ours:ours", data, every=thinned))
        if not repetition:  # up to minutes each
            runs["feast"].append(foreign(peers["feast"], "featurestore_peers:feast_duckdb", data, every=1))
            runs["default"].append(foreign(peers["feast"], "featurestore_peers:feast_default", data, every=thinned))
    return runs


def _same(runs: Runs) -> None:
    """Rows, rows with values, and every sum; Feast's default engine may leave rows without values out."""
    whole = {tuple(each["answer"]) for side in ("ours", "duckdb", "polars", "feast") for each in runs[side]}
    thinned = {tuple(each["answer"][1:]) for side in ("thinned", "default") for each in runs[side]}
    if len(whole) != 1 or len(thinned) != 1:
        raise BenchmarkError(f"all must give each row the same values; the answers were {whole} and {thinned}")


def _figures(runs: Runs, customers: int, thinned: int, *, promised: bool) -> list[Figure]:
    seconds = {side: [each["seconds"] for each in found] for side, found in runs.items()}
    cpu = {side: [each["cpu"] for each in found] for side, found in runs.items()}
    peak = {side: [each["peak"] for each in found] for side, found in runs.items()}
    best = min(("duckdb", "polars"), key=lambda side: sorted(seconds[side])[len(seconds[side]) // 2])
    bare, default, duckdb, memory = (1.5, 0.1, 0.4, 1.2) if promised else (None,) * 4
    name = f"{customers:,} customers × {DAYS} days"
    fewer = "" if thinned == 1 else f", one row in {thinned}"
    lost = [each["answer"][0] for each in runs["default"]]
    return [
        figures(f"{name}, against the faster of DuckDB and polars ({best})", "s", seconds["ours"], seconds[best], bare),
        figures(f"{name}, against DuckDB's ASOF JOIN", "s", seconds["ours"], seconds["duckdb"]),
        figures(f"{name}, against polars' join_asof", "s", seconds["ours"], seconds["polars"]),
        figures(f"{name}, against Feast on DuckDB", "s", seconds["ours"], seconds["feast"], duckdb),
        figures(f"{name}{fewer}, against Feast's default", "s", seconds["thinned"], seconds["default"], default),
        figures(f"{name}, processor time, against DuckDB", "s", cpu["ours"], cpu["duckdb"]),
        figures(f"{name}, processor time, against polars", "s", cpu["ours"], cpu["polars"]),
        figures(f"{name}, processor time, against Feast on DuckDB", "s", cpu["ours"], cpu["feast"]),
        figures(f"{name}{fewer}, processor time, against Feast's default", "s", cpu["thinned"], cpu["default"]),
        figures(f"{name}, peak memory, against DuckDB", "MiB", peak["ours"], peak["duckdb"], memory),
        figures(f"{name}, peak memory, against polars", "MiB", peak["ours"], peak["polars"]),
        figures(f"{name}, peak memory, against Feast on DuckDB", "MiB", peak["ours"], peak["feast"]),
        figures(f"{name}{fewer}, peak memory, against Feast's default", "MiB", peak["thinned"], peak["default"]),
        figures(f"{name}{fewer}, rows given back, against Feast's default", "rows", _rows(runs["thinned"]), lost),
    ]


def _rows(runs: list[Measured]) -> list[float]:
    return [each["answer"][0] for each in runs]


def _online(feast: Path, data: Path, customers: int, *, quick: bool) -> list[Figure]:
    say("online reads")
    runs = 50 if quick else 2000
    ours = call("featurestore_online:sqlite", data, customers=customers, runs=runs)
    peer = foreign(feast, "featurestore_peers:feast_online", data, customers=customers, runs=runs // 10)
    found = _reads("SQLite", "Feast on SQLite", ours, peer, (1 / 15, 1 / 20), quick=quick)
    limits = (None, None) if quick else (15.0, 400.0)
    alone = [
        figures(f"SQLite, {count} of 10 features, ours alone", "µs", [ours[str(count)]], limit=limit)
        for count, limit in zip((1, 100), limits, strict=True)
    ]
    if not call("featurestore_online:available", data)["redis"]:
        say("no Redis to measure with")
        return [*alone, *found]
    served = call("featurestore_online:redis", data, customers=customers, runs=runs)
    bare = call("featurestore_online:raw", data, customers=customers, runs=runs)
    return [*alone, *found, *_reads("Redis", "redis-py and struct", served, bare, (1.5, 1.5), quick=quick)]


def _reads(
    where: str, who: str, ours: Measured, peer: Measured, limits: tuple[float, float], *, quick: bool
) -> list[Figure]:
    if ours["answer"] != peer["answer"]:
        raise BenchmarkError(f"{where}: both must read the same values, not {ours['answer']} and {peer['answer']}")
    return [
        figures(
            f"{where}, 10 features of {count}, against {who}", "µs", [ours[str(count)]], [peer[str(count)]],
            None if quick else limit,
        )
        for count, limit in zip((1, 100), limits, strict=True)
    ]  # fmt: skip
