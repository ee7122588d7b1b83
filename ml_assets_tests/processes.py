"""What tests that start real processes share."""

import os
from pathlib import Path


def environment(data: Path, **more: str) -> dict[str, str]:
    """The environment of a process over a data folder of its own.

    Settings of this process are left out: mlflow exports the tracking URI of a test that trained here to every child.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ML_ASSETS", "MLFLOW"))}
    return inherited | {"ML_ASSETS_DATA": str(data)} | more
