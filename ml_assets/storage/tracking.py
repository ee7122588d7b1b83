"""The client of an MLflow server, or of the embedded database, which appears whole or not at all."""

import contextlib
import json
import logging
import os
import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from ml_assets.storage.files import atomic_path, hold_lock

EMBEDDED = "sqlite:///"

# MLflow's own tables; a test holds what they say against its client.
_ALIASES = (
    "SELECT name, version, run_id FROM registered_model_aliases JOIN model_versions USING (name, version) "
    "WHERE alias = ? ORDER BY name"
)
_VERSION = "SELECT run_id FROM model_versions WHERE name = ? AND version = ?"
_MODEL_TAGS = "SELECT name, value FROM registered_model_tags WHERE key = ?"
_TAGS = "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?"
# Where it keeps absolute paths of what lies beside the database.
_PATHS = (
    ("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)  # fmt: skip
_ARTIFACTS = "mlflow/artifacts"  # below the data folder, as `settings` says
_METRICS = "SELECT key, value FROM latest_metrics WHERE run_uuid = ?"


@cache
def client(uri: str) -> Any:  # noqa: ANN401 - mlflow's client has no strict types
    """MLflow's client for a tracking URI; an embedded database is created where there is none."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient  # 3 s

    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if uri.startswith(EMBEDDED):
        _require(Path(uri.removeprefix(EMBEDDED)))
        follow(uri)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _require(database: Path) -> None:
    """Create the database under another name: MLflow cannot go on with one whose creation was killed half-way."""
    from mlflow import MlflowClient

    with hold_lock(database.with_suffix(".lock")):  # processes that start at once create it one after the other
        if not database.exists():
            with atomic_path(database) as part:
                uri = f"{EMBEDDED}{part}"
                MlflowClient(tracking_uri=uri, registry_uri=uri).search_experiments(max_results=1)


def follow(uri: str) -> None:
    """Let the embedded database name files where they are now, if its data folder was moved or copied.

    MLflow keeps absolute paths. Those of an older place are rewritten in one transaction, where the artifacts came
    along; nothing is done for a database of one's own, which lies beside no `artifacts`.
    """
    path = Path(uri.removeprefix(EMBEDDED)).absolute()
    here = path.parent.parent
    if not (uri.startswith(EMBEDDED) and path.exists() and (here / _ARTIFACTS).is_dir()):
        return
    with contextlib.closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as database:
        locations = [place for (place,) in database.execute("SELECT artifact_location FROM experiments")]
        elsewhere = {root for root in map(_root, locations) if root not in {None, str(here)}}
        if elsewhere:
            database.execute("BEGIN IMMEDIATE")
            for root in sorted(filter(None, elsewhere)):
                _move(database, root, str(here))
            database.execute("COMMIT")


def _root(location: str | None) -> str | None:
    """The data folder that a location of ours is below."""
    head, separator, model = (location or "").rpartition(f"/{_ARTIFACTS}/")
    return head if separator and "/" not in model and "://" not in head else None


def _move(database: sqlite3.Connection, old: str, new: str) -> None:
    for table, column in _PATHS:
        below = f"substr({column}, 1, length(:old) + 1) = :old || '/'"
        sql = f"UPDATE {table} SET {column} = :new || substr({column}, length(:old) + 1) WHERE {below}"
        database.execute(sql, {"old": old, "new": new})
    was, now = (json.dumps(f"{root}/lake/")[:-1] for root in (old, new))  # a text of JSON, up to its last mark
    database.execute("UPDATE datasets SET dataset_source = replace(dataset_source, ?, ?)", (was, now))


def versions_with_alias(uri: str, alias: str) -> list[tuple[str, int, str, dict[str, str]]]:
    """Of each model of the embedded database with this alias: name, version, run and tags, without importing MLflow."""
    with _reading(uri) as database:
        if database is None:
            return []
        rows = database.execute(_ALIASES, (alias,)).fetchall()
        return [(name, int(number), run, dict(database.execute(_TAGS, (name, number)))) for name, number, run in rows]


def version_of_number(uri: str, model: str, number: int) -> tuple[str, dict[str, str]] | None:
    """Run and tags of a version of the embedded database; None where there is none."""
    with _reading(uri) as database:
        row = None if database is None else database.execute(_VERSION, (model, number)).fetchone()
        if database is None or row is None:
            return None
        return row[0], dict(database.execute(_TAGS, (model, number)))


def tags_of_models(uri: str, key: str) -> dict[str, str]:
    """Model → the value of its tag, of the models of the embedded database that have it."""
    with _reading(uri) as database:
        return {} if database is None else dict(database.execute(_MODEL_TAGS, (key,)))


def model_names(uri: str) -> list[str]:
    """The names of all models that are registered in the embedded database."""
    with _reading(uri) as database:
        if database is None:
            return []
        rows = database.execute("SELECT name FROM registered_models ORDER BY name")
        return [name for (name,) in rows]


def never_used(uri: str) -> bool:
    """Whether the embedded database has no experiment but MLflow's own, not even a deleted one."""
    with _reading(uri) as database:
        return database is None or database.execute("SELECT count(*) FROM experiments").fetchone()[0] < 2


def latest_metrics(uri: str, run_id: str) -> dict[str, float]:
    """The last value of each metric of a run of the embedded database."""
    with _reading(uri) as database:
        return {} if database is None else dict(database.execute(_METRICS, (run_id,)))


@contextlib.contextmanager
def _reading(uri: str) -> Iterator[sqlite3.Connection | None]:
    """The embedded database, only to read; None where there is none yet."""
    path = Path(uri.removeprefix(EMBEDDED)).absolute()
    if not path.exists():
        yield None
        return
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        yield database
