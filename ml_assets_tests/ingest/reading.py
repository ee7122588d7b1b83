"""What a file becomes, without a lake: its rows by their number, those of the quarantine, or why it is refused."""

import json
import tempfile
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ml_assets.errors import DataError
from ml_assets.ingest.batch import load
from ml_assets.ingest.files import arrivals, identify
from ml_assets.spec.source import POSITION, SourceSpec

_NOW = datetime(9999, 12, 31)  # noqa: DTZ001 - naive UTC, as everywhere in the lake


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Args:
        schema: the types of the table; None where the file was refused.
        rows: accepted rows, by their number in the file.
        quarantined: the rows of the quarantine as they were delivered, by their number.
        reasons: why, by the same numbers.
        refused: why no row was taken; empty where some were.
    """

    schema: pa.Schema | None
    rows: dict[int, dict[str, Any]]
    quarantined: dict[int, dict[str, Any]]
    reasons: dict[int, str]
    refused: str = ""


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'America/New_York'")  # the machine's zone must not matter
    return connection


def outcome(name: str, content: bytes, **declared: Any) -> Outcome:
    """Read a file as the first of its table.

    Args:
        name: its ending says how.
        content: its bytes.
        declared: fields of the source beside its name, its files, and the event time `at`.
    """
    spec = SourceSpec.model_validate({"name": "s", "files": name, "event_time": "at", **declared})
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(content)
        (arrival,) = arrivals(name, folder)
        try:
            loaded = load(arrival, identify(arrival), None, spec, _connection(), _NOW)
        except DataError as error:
            return Outcome(None, {}, {}, {}, str(error))
        with loaded.held:
            accepted = [row for table in loaded.rows for row in table.to_pylist()]
            bad = [row for table in loaded.bad for row in table.to_pylist()]
    return Outcome(
        loaded.shape.schema,
        {row.pop(POSITION): row for row in accepted},
        {row["position"]: json.loads(row["row"]) for row in bad},
        {row["position"]: row["reason"] for row in bad},
    )
