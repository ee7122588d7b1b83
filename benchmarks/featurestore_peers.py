"""Feast and polars, in environments of their own."""

import resource
import time
from collections.abc import Callable
from typing import Any

from benchmarks.featurestore_data import CHECKED, ENTITY, FEATURES, TTL_DAYS, data, entities, features

_MOST = 14 << 30  # bytes of memory that a peer may take: more, and it would take the machine with it


def polars(every: int) -> dict[str, Any]:
    """`join_asof` of two Parquet files, with the TTL as its tolerance."""
    import polars as pl

    def work() -> Any:  # noqa: ANN401 - a polars DataFrame
        asked = pl.scan_parquet(entities(every)).sort("moment")
        known = pl.scan_parquet(features()).sort("event_timestamp")
        joined = asked.join_asof(
            known, left_on="moment", right_on="event_timestamp", by=ENTITY, tolerance=f"{TTL_DAYS}d"
        )
        return joined.collect()

    return _timed(work, lambda found: found.to_arrow())


def feast_default(every: int) -> dict[str, Any]:
    """Its default offline store, files through Dask and pandas."""
    return _feast("dask", every)


def feast_duckdb(every: int) -> dict[str, Any]:
    """Its DuckDB offline store."""
    return _feast("duckdb", every)


def _feast(offline: str, every: int) -> dict[str, Any]:
    import pandas as pd

    resource.setrlimit(resource.RLIMIT_AS, (_MOST, _MOST))
    store = _store(offline)

    def work() -> Any:  # noqa: ANN401 - pandas or Arrow
        asked = pd.read_parquet(entities(every)).rename(columns={"moment": "event_timestamp"})
        asked["event_timestamp"] = asked["event_timestamp"].dt.tz_localize("UTC")
        job = store.get_historical_features(asked, [f"habits:{name}" for name in FEATURES])
        return job.to_df() if offline == "dask" else job.to_arrow()

    return _timed(work, _arrow)


def feast_online(customers: int, runs: int) -> dict[str, Any]:
    """Its SQLite online store."""
    import pandas as pd

    store = _store("dask")
    rows = pd.read_parquet(features())
    store.write_to_online_store("habits", rows[rows["event_timestamp"] == rows["event_timestamp"].max()])
    names = [f"habits:{name}" for name in FEATURES]

    def ask(asked: list[str]) -> Any:  # noqa: ANN401 - Feast's
        return store.get_online_features(names, [{ENTITY: name} for name in asked]).to_dict()

    return measured(ask, lambda found: [found[name][0] for name in FEATURES], customers, runs)


def measured(
    ask: Callable[[list[str]], Any], first: Callable[[Any], list[Any]], customers: int, runs: int
) -> dict[str, Any]:
    """Microseconds for one entity and for a hundred, the median of random ones; and the values of one, to compare."""
    import random
    from statistics import median

    chooser = random.Random(0)  # noqa: S311 - which entities are asked for

    def once(count: int) -> float:
        asked = [f"C{chooser.randrange(customers):07d}" for _ in range(count)]
        started = time.perf_counter()
        ask(asked)
        return 1e6 * (time.perf_counter() - started)

    took = {str(count): median(once(count) for _ in range(runs)) for count in (1, 100)}
    return {**took, "answer": first(ask(["C0000007"]))}


def _store(offline: str) -> Any:  # noqa: ANN401 - Feast's
    from datetime import timedelta

    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Float64

    folder = data() / f"feast_{offline}"
    folder.mkdir(exist_ok=True)
    config = RepoConfig(
        project="bench",
        provider="local",
        registry=str(folder / "registry.db"),
        offline_store={"type": offline},
        online_store={"type": "sqlite", "path": str(folder / "online.db")},
        entity_key_serialization_version=3,
    )
    customer = Entity(name=ENTITY, join_keys=[ENTITY], value_type=ValueType.STRING)
    view = FeatureView(
        name="habits",
        entities=[customer],
        ttl=timedelta(days=TTL_DAYS),
        schema=[Field(name=name, dtype=Float64) for name in FEATURES],
        source=FileSource(name="features", path=str(features()), timestamp_field="event_timestamp"),
    )
    store = FeatureStore(config=config)
    store.apply([customer, view])
    return store


def _timed(work: Callable[[], Any], arrow: Callable[[Any], Any]) -> dict[str, Any]:
    started, cpu = time.perf_counter(), time.process_time()
    found = work()
    took = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**took, "peak": peak, "answer": _checked(arrow(found))}


def _arrow(found: Any) -> Any:  # noqa: ANN401 - pandas or Arrow
    import pyarrow as pa

    return found if isinstance(found, pa.Table) else pa.Table.from_pandas(found, preserve_index=False)


def _checked(table: Any) -> list[float]:  # noqa: ANN401 - an Arrow table
    """As `featurestore_ours.checked`, without the project's libraries."""
    import pyarrow.compute as pc

    sums = [float(pc.sum(pc.multiply(table[name], table["number"])).as_py() or 0) for name in FEATURES]
    assert pc.max(table["number"]).as_py() < CHECKED
    return [len(table), len(table) - table[FEATURES[0]].null_count, *sums]
