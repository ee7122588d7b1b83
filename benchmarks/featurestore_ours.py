"""Ours and bare DuckDB, in the measured processes."""

import time
from collections.abc import Callable
from typing import Any

from benchmarks.featurestore_data import (
    CHECKED,
    ENTITY,
    FEATURES,
    FOLDER,
    TTL_DAYS,
    VIEW,
    entities,
    features,
    store,
)


def ours(every: int) -> dict[str, Any]:
    """`FeatureStore.training_set` of an Arrow table."""
    # What is imported late is not in the time: `pyarrow.dataset` imports pandas.
    import pandas as pd  # noqa: F401
    import pyarrow.dataset  # noqa: F401
    import pyarrow.parquet as pq

    chosen = store()
    _ = chosen.list_views()

    def work() -> Any:  # noqa: ANN401 - an Arrow table
        return chosen.training_set(pq.read_table(entities(every)), [f"{FOLDER}/{VIEW}"])

    return _timed(work)


def duckdb(every: int) -> dict[str, Any]:
    """An ASOF JOIN of two Parquet files, as it comes; the TTL by CASE."""
    import duckdb as library
    import pyarrow as pa  # noqa: F401 - else its import would be in the time

    fresh = f"moment < event_timestamp + INTERVAL {TTL_DAYS} DAY"
    columns = ", ".join(f"CASE WHEN {fresh} THEN {name} END AS {name}" for name in FEATURES)
    connection = library.connect()
    return _timed(
        lambda: connection.sql(
            f"SELECT e.{ENTITY}, moment, number, {columns} FROM '{entities(every)}' e ASOF LEFT JOIN '{features()}' f "
            f"ON e.{ENTITY} = f.{ENTITY} AND moment >= event_timestamp"
        ).to_arrow_table()
    )


def _timed(work: Callable[[], Any]) -> dict[str, Any]:
    started, cpu = time.perf_counter(), time.process_time()
    table = work()
    took = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
    return {**took, **_peak(), "answer": checked(table)}


def _peak() -> dict[str, float]:
    """MiB at most until here: what follows only checks."""
    import resource

    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def checked(table: Any) -> list[float]:  # noqa: ANN401 - an Arrow table
    """Rows, rows with a value, and of each column the sum weighted by the row's own number."""
    import pyarrow.compute as pc

    sums = [float(pc.sum(pc.multiply(table[name], table["number"])).as_py()) for name in FEATURES]
    assert pc.max(table["number"]).as_py() < CHECKED
    return [len(table), len(table) - table[FEATURES[0]].null_count, *sums]
