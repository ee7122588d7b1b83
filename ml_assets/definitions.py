"""The code location: everything below `defs/`."""

import logging
from functools import cache

import dagster as dg

from ml_assets import defs
from ml_assets.components.tree import FolderTree
from ml_assets.redaction import redact_logs
from ml_assets.settings import PROJECT

_log = logging.getLogger("ml_assets")


@cache  # Dagster asks twice while it loads a code location
def _load() -> dg.Definitions:
    tree = FolderTree(defs_module=defs, project_root=PROJECT)
    for folder, error in tree.broken.items():
        _log.error("ml_assets/defs/%s is left out: %s", folder, error)
    return tree.build_defs()


@dg.definitions
def definitions() -> dg.Definitions:
    """Load every folder of `defs/`; one that is wrong is named in the log and stops no other."""
    redact_logs()  # of the processes that Dagster starts
    return _load()
