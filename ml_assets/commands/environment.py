"""What every command sets before Dagster, MLflow and the others are imported."""

import contextlib
import os
import sqlite3
import sys
import warnings

from ml_assets.commands.file_modes import keep_private
from ml_assets.errors import DataError
from ml_assets.redaction import redact_logs
from ml_assets.settings import PROJECT, Settings
from ml_assets.storage.tracking import follow
from ml_assets.telemetry import OFF

# How long threads of scikit-learn spin before they sleep. OpenMP's own choice takes the cores from whoever else works
# (beside two busy processes a fit took 1.5 times the CPU time); sleeping at once makes a lone fit 3 times as long.
_POLITE = {"GOMP_SPINCOUNT": "1000"}

_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}  # MLflow waits minutes


def prepare(settings: Settings, *, patient: bool = True) -> None:
    """No telemetry, no warnings of libraries, no secrets in logs; the Dagster instance in the data folder.

    What is written from now on nobody else may read. The data folder may have been moved.

    Args:
        settings: where everything lies.
        patient: whether a tracking server that does not answer is waited for; a command that only looks gives it up
            after seconds.

    Raises:
        DataError: the data folder cannot be made; the environment is set all the same.
    """
    redact_logs()
    keep_private()
    os.environ.update(OFF)
    os.environ.update({key: value for key, value in _POLITE.items() if key not in os.environ})
    if not patient:
        os.environ.update(_IMPATIENT)
    if not sys.warnoptions:  # a user can do nothing about them; `python -W` still shows them
        warnings.simplefilter("ignore")
    os.environ["DAGSTER_HOME"] = str(PROJECT)
    os.environ["ML_ASSETS_DAGSTER"] = str(settings.dagster)
    for folder in (settings.dagster, settings.incoming):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"the data folder {settings.data} cannot be made ({error.strerror} at {error.filename}): let this user "
                "write there, or set ML_ASSETS_DATA to another folder"
            ) from error
    with contextlib.suppress(sqlite3.Error):  # whoever asks the registry is told; `doctor` has nothing to do with it
        follow(settings.tracking_uri)
