"""What the measured processes share: the project as its commands see it, and the libraries that it imports late.

Nothing here is imported by the process that starts them.
"""

import importlib
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml_assets.commands.project import Project

LATE = (
    "deltalake", "duckdb", "evidently", "great_expectations", "matplotlib.pyplot", "mlflow.onnx", "onnxruntime",
    "optuna", "pandas", "scipy.stats", "skl2onnx", "sklearn.ensemble", "sklearn.inspection",
)  # fmt: skip


def load(*libraries: str) -> "Project":
    """The project, its definitions loaded, and these libraries imported: none of it is in the time that follows."""
    from ml_assets.commands.environment import prepare
    from ml_assets.settings import PROJECT, read_settings

    prepare(read_settings())
    from ml_assets.commands.project import Project

    project = Project(PROJECT)
    _ = project.models
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what libraries say about themselves when imported is not measured here
        for library in libraries:
            importlib.import_module(library)
    return project


def timed(work: Callable[[], object]) -> dict[str, float]:
    """How long `work` takes: `seconds` on the wall, `cpu` of all threads of this process."""
    started, cpu = time.perf_counter(), time.process_time()
    work()
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}


def fill(command: str, **options: object) -> None:
    """Fill the drop zone of a model, as `ml-assets data <command>` does, without a progress bar."""
    from ml_assets.commands.samples import by_command
    from ml_assets.settings import PROJECT, read_settings

    sample = by_command(PROJECT / "ml_assets" / "defs")[command]
    sample.fill()(sample.zone(read_settings().incoming), **options)
