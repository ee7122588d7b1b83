"""How long Dagster remembers the runs of all models, and what killed ones hold."""

import dagster as dg

from ml_assets.components.dead_runs import slots_sensor
from ml_assets.components.old_runs import purge_sensor

SUCCEEDED, FAILED = 7, 30
"""Days that a run stays with all its events; the latest of each asset, partition and check stays for ever."""


@dg.definitions
def housekeeping() -> dg.Definitions:
    """The sensor that forgets what nobody asks for of older runs, and the one that frees slots of killed ones."""
    return dg.Definitions(sensors=[purge_sensor(SUCCEEDED, FAILED), slots_sensor()])
