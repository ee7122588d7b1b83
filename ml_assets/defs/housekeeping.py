"""How long Dagster remembers: the runs of all models."""

import dagster as dg

from ml_assets.components.old_runs import purge_sensor

DAYS = 30


@dg.definitions
def housekeeping() -> dg.Definitions:
    """The sensor that forgets what nobody asks for of older runs."""
    return dg.Definitions(sensors=[purge_sensor(DAYS)])
