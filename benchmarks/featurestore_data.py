"""What the benchmark of the feature store is about: the same features and rows for every side.

Views are computed daily up to a date, and rows are asked about until days later: the last ones are past the TTL. Every
value is a multiple of a quarter below 2^20, so a sum is exact in any order.
"""

import os
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml_assets.features.notebook import FeatureStore

START, DAYS, COMPUTED = date(2025, 1, 1), 90, 81
TTL_DAYS = 8  # rows are asked about up to ten hours after the last day: 2.7 % of them are past it
FEATURES = [f"f{number}" for number in range(10)]
CHECKED = 1009  # a prime: a value that lands in another row changes the sum
FOLDER, VIEW, ENTITY = "bench", "habits", "customer_id"
YAML = f"""
type: ml_assets.components.Source
attributes: {{name: daily, files: bench/daily/*.parquet, event_time: happened_at}}
---
type: ml_assets.components.FeatureView
attributes: {{name: {VIEW}, sql: {VIEW}.sql, lookback: 1d, ttl: {TTL_DAYS}d}}
---
type: ml_assets.components.Model
attributes:
  entity: {ENTITY}
  cadence: {{every: daily, start: {START}, end: {START + timedelta(days=COMPUTED - 1)}}}
  label: {{sql: label.sql, horizon: 1d}}
  features: [{VIEW}]
"""
_FILES = 9  # of nine days each


def data() -> Path:
    """The data folder of this process."""
    return Path(os.environ["ML_ASSETS_DATA"])


def features() -> Path:
    """The kept view as one Parquet file: what the peers read."""
    return data() / "features.parquet"


def entities(every: int) -> Path:
    """The rows that are asked about: one in so many, by a hash."""
    return data() / f"entities_{every}.parquet"


def store(url: str | None = None) -> "FeatureStore":
    """Ours, over the benchmark's own folder."""
    from ml_assets.features import FeatureStore
    from ml_assets.settings import read_settings

    return FeatureStore(str(read_settings().lake), url, data() / "defs")


def generate(customers: int, thinned: int) -> dict[str, Any]:
    """Raw files, ingested; the view at all its dates; the same as one file; the rows, all and thinned out."""
    import duckdb

    folder = data() / "defs" / FOLDER
    folder.mkdir(parents=True)
    (folder / "defs.yaml").write_text(YAML)
    (folder / f"{VIEW}.sql").write_text(f"SELECT {ENTITY}, {', '.join(FEATURES)} FROM daily")
    _ingest(customers)
    for every in {1, thinned}:
        duckdb.sql(f"COPY ({_rows(customers, every)}) TO '{entities(every)}' (FORMAT parquet)")
    _compute()
    return {"rows": customers * DAYS, "past": duckdb.execute(_past()).fetchall()[0][0]}


def _ingest(customers: int) -> None:
    import duckdb

    from ml_assets.ingest.ingest import ingest
    from ml_assets.settings import read_settings
    from ml_assets.spec.source import SourceSpec
    from ml_assets.storage.lake import Lake

    drop = read_settings().incoming / FOLDER / "daily"
    drop.mkdir(parents=True)
    columns = ", ".join(
        f"(hash(customer, day, {n}) % 4194304)::DOUBLE / 4 AS {name}" for n, name in enumerate(FEATURES)
    )
    for number in range(_FILES):
        days = f"range({number * COMPUTED // _FILES}, {(number + 1) * COMPUTED // _FILES})"
        duckdb.sql(f"""
            COPY (
                SELECT format('C{{:07d}}', customer) AS {ENTITY}, {columns},
                    TIMESTAMP '{START}' + INTERVAL 1 DAY * day - INTERVAL 12 HOUR AS happened_at
                FROM (SELECT unnest({days}) AS day), (SELECT range AS customer FROM range({customers}))
                ORDER BY happened_at, {ENTITY}
            ) TO '{drop}/{number}.parquet' (FORMAT parquet)
        """)
    spec = SourceSpec(name="daily", files=f"{FOLDER}/daily/*.parquet", event_time="happened_at")
    ingest(Lake(str(read_settings().lake)), f"{FOLDER}/raw/daily", spec, read_settings().incoming)


def _rows(customers: int, every: int) -> str:
    """At half seconds: none is a TTL old to the second, where the sides differ in who still counts."""
    return f"""
        SELECT format('C{{:07d}}', customer) AS {ENTITY},
            TIMESTAMP '{START}' + INTERVAL 1 DAY * day + INTERVAL 1 SECOND * (hash(customer, day) % 86400)::BIGINT
                + INTERVAL 10 HOUR + INTERVAL 500 MILLISECOND AS moment,
            (day * {customers} + customer) % {CHECKED} AS number
        FROM (SELECT range AS day FROM range({DAYS})), (SELECT range AS customer FROM range({customers}))
        WHERE hash(day, customer) % {every} = 0
        ORDER BY day, customer
    """


def _past() -> str:
    last = f"TIMESTAMP '{START + timedelta(days=COMPUTED - 1)}'"
    return f"SELECT count(*) FROM '{entities(1)}' WHERE moment > {last} + INTERVAL {TTL_DAYS} DAY"


def _compute() -> None:
    """By asking for all dates once; then the kept rows as one file, in the order of their dates."""
    import duckdb
    import pyarrow as pa

    ours = store()
    dates = [START + timedelta(days=day) for day in range(COMPUTED)]
    ours.training_set(pa.table({ENTITY: ["C0000000"] * COMPUTED, "moment": dates}), [f"{FOLDER}/{VIEW}"])
    kept = next((data() / "lake" / FOLDER / "features" / VIEW).glob("*"))
    duckdb.sql(f"""
        COPY (SELECT {ENTITY}, as_of::TIMESTAMP AS event_timestamp, {", ".join(FEATURES)}
              FROM read_parquet('{kept}/*/*.parquet', hive_partitioning = true) ORDER BY as_of, {ENTITY})
        TO '{features()}' (FORMAT parquet)
    """)
