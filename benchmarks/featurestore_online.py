"""Online reads of ten features, in the measured processes: ours on SQLite and Redis, and bare redis-py."""

import os
import struct
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.featurestore_data import (
    COMPUTED,
    ENTITY,
    FEATURES,
    FOLDER,
    START,
    TTL_DAYS,
    VIEW,
    data,
    features,
    store,
)
from benchmarks.featurestore_peers import measured

if TYPE_CHECKING:
    from ml_assets.features.notebook import FeatureStore

SET = f"{FOLDER}@benchmark"
LAST = START + timedelta(days=COMPUTED - 1)


def redis_url() -> str:
    """The Redis that is measured on."""
    return os.environ.get("ML_ASSETS_TEST_REDIS", "redis://127.0.0.1:6379")


def available() -> dict[str, Any]:
    """Whether that Redis answers."""
    from ml_assets.errors import OnlineStoreError
    from ml_assets.features.online.store import open_store

    try:
        open_store(redis_url()).ping()
    except OnlineStoreError:
        return {"redis": False}
    return {"redis": True}


def sqlite(customers: int, runs: int) -> dict[str, Any]:
    """`FeatureStore.online` on the embedded store."""
    return _ours(f"sqlite:///{data()}/online.db", customers, runs)


def redis(customers: int, runs: int) -> dict[str, Any]:
    """The same on Redis."""
    return _ours(redis_url(), customers, runs)


def raw(customers: int, runs: int) -> dict[str, Any]:
    """The same bytes, read with redis-py and unpacked with one `struct`; then they are removed."""
    from redis import Redis

    client: Any = Redis.from_url(redis_url())
    prefix = f"ml_assets:{SET}:"
    # Where the doubles of a record lie: after 13 bytes and the bits of what is missing (`features/online/codec.py`).
    values = struct.Struct(f"<15x{len(FEATURES)}d")

    def ask(asked: list[str]) -> list[tuple[float, ...]]:
        keys = [prefix + entity for entity in asked]
        return [values.unpack_from(value) for value in (client.mget(keys) if len(keys) > 1 else [client.get(keys[0])])]

    result = measured(ask, lambda found: list(found[0]), customers, runs)
    for start in range(0, customers, 1000):
        client.unlink(*(f"{prefix}C{number:07d}" for number in range(start, min(start + 1000, customers))))
    client.unlink(f"ml_assets.written:{SET}")
    client.close()
    return result


def _ours(url: str, customers: int, runs: int) -> dict[str, Any]:
    opened = store(url)
    _fill(opened, url)
    names = [f"{FOLDER}/{VIEW}:{name}" for name in FEATURES]
    return measured(lambda asked: opened.online(asked, names), lambda found: list(found[0][2]), customers, runs)


def _fill(opened: "FeatureStore", url: str) -> None:
    """The records of the last as-of date, and what the asset notes of them."""
    import duckdb

    from ml_assets.features.online.ledger import OnlineWrite, note
    from ml_assets.features.online.schema import schema_of
    from ml_assets.features.online.store import open_store

    last = duckdb.sql(f"SELECT {ENTITY}, {', '.join(FEATURES)} FROM '{features()}' WHERE event_timestamp = '{LAST}'")
    assert last is not None
    rows = last.to_arrow_table()
    schema = schema_of(SET, ENTITY, rows.schema, {VIEW: (FEATURES, timedelta(days=TTL_DAYS))})
    online = open_store(url)
    online.write(schema, rows.to_batches(max_chunksize=10_000), LAST)
    online.finish(schema, LAST)
    begun = datetime(2026, 1, 1)  # noqa: DTZ001 - the lake's times are naive UTC
    note(opened.lake, FOLDER, OnlineWrite(LAST, SET, 1, online.name, len(rows), 1, begun))
    online.close()
