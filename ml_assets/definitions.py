"""The code location: everything below `defs/`."""

from functools import cache
from pathlib import Path

import dagster as dg


@cache  # Dagster asks twice while it loads a code location
def _load() -> dg.Definitions:
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)


@dg.definitions
def definitions() -> dg.Definitions:
    """Load every folder of `defs/`."""
    return _load()
