"""Alerts of all models: one sensor sends them, two watch the runs, one the sensors."""

import dagster as dg

from ml_assets.components.alerting import delivery_sensor, failure_sensor, success_sensor, tick_sensor
from ml_assets.components.monitor import Monitor


@dg.definitions
def alerts(context: dg.ComponentLoadContext) -> dg.Definitions:
    """The sensors over every folder that has a monitor."""
    monitors = context.component_tree.get_all_components(of_type=Monitor)
    folders = {monitor.folder: monitor.spec.alerts.failed_runs for monitor in monitors}
    return dg.Definitions(
        sensors=[make(folders) for make in (delivery_sensor, failure_sensor, success_sensor, tick_sensor)]
    )
