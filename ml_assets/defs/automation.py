"""The sensor that evaluates the automation conditions of the assets; Dagster's own starts stopped."""

import dagster as dg


@dg.definitions
def automation() -> dg.Definitions:
    """One automation sensor, running from the start."""
    sensor = dg.AutomationConditionSensorDefinition(
        "automation",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
    )
    return dg.Definitions(sensors=[sensor])
