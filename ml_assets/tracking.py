"""The client of an MLflow server, or of the embedded database, which appears whole or not at all."""

import logging
import os
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

EMBEDDED = "sqlite:///"


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
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _require(database: Path) -> None:
    """Create the database under another name: MLflow cannot go on with one whose creation was killed half-way."""
    from mlflow import MlflowClient

    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(database.with_suffix(".lock")):  # processes that start at once create it one after the other
        if not database.exists():
            part = database.with_suffix(".part")
            part.unlink(missing_ok=True)
            made = f"{EMBEDDED}{part}"
            MlflowClient(tracking_uri=made, registry_uri=made).search_experiments(max_results=1)
            part.replace(database)
