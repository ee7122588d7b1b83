"""The resources of every asset, sensor and condition: here the settings enter Dagster."""

import dagster as dg
from dagster_duckdb import DuckDBResource

from ml_assets.components.resources import LakeResource, RegistryResource
from ml_assets.settings import read_settings


@dg.definitions
def resources() -> dg.Definitions:
    """The settings, the lake, the registry, and runs in one process: light steps do not pay for a process each."""
    settings = read_settings()
    duckdb = DuckDBResource(
        database=":memory:",
        connection_config={
            "threads": 1,  # sums of floats do not depend on the scheduling of threads; dates run side by side
            "memory_limit": settings.memory,
            "temp_directory": str(settings.data / "tmp"),
        },
    )
    lake = LakeResource(root=settings.lake_url, workers=settings.workers, duckdb=duckdb)
    artifacts = None if settings.mlflow_tracking_uri else str(settings.artifacts)
    # Dagster shows what a resource is configured by, and of a variable its name.
    uri = dg.EnvVar("MLFLOW_TRACKING_URI") if settings.mlflow_tracking_uri else settings.tracking_uri
    registry = RegistryResource(uri=uri, artifacts=artifacts, ui=settings.mlflow_ui)
    return dg.Definitions(
        resources={"settings": settings, "lake": lake, "registry": registry}, executor=dg.in_process_executor
    )
