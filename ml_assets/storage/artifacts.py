"""Files of MLflow's runs and versions: read whole and into memory, so that nothing is left in the temporary folder."""

import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, NamedTuple

from ml_assets.storage import scorer

ARTIFACT = "model.onnx"
"""The file of the ONNX artifact in an MLflow model."""

_LOADER = "ml_assets_scorer"


@dataclass(frozen=True)
class ModelPackage:
    """A version's artifact and what MLflow is told about it.

    Args:
        onnx: the model.
        inputs: feature → `number`, `text` or `document`, in the order of the model's inputs.
        classes: of the probabilities, where they are several.
        output: the model's output that holds the probabilities.
        missing: what stands for a missing text.
    """

    onnx: bytes
    inputs: Mapping[str, str]
    classes: Sequence[str]
    output: str
    missing: str


class Logged(NamedTuple):
    """An MLflow model: its URI and its id."""

    uri: str
    model_id: str


def read(client: Any, uri: str, run_id: str, path: str) -> bytes | None:  # noqa: ANN401 - mlflow's client has no types
    """A file of a run; None where it has none.

    MLflow's own client asks for the run four times, and looks for models beside it: that takes three times as long.

    Args:
        client: of MLflow.
        uri: of the tracking server.
        run_id: the run.
        path: of the file, within the run.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository  # 3 s

    files: Any = get_artifact_repository(client.get_run(run_id).info.artifact_uri, tracking_uri=uri)
    folder = path.rpartition("/")[0]
    if not any(item.path == path for item in files.list_artifacts(folder or None)):
        return None
    with tempfile.TemporaryDirectory() as place:
        return Path(files.download_artifacts(path, place)).read_bytes()


def write(client: Any, run_id: str, files: Mapping[str, bytes]) -> None:  # noqa: ANN401 - as above
    """Keep files with a run: path → content."""
    with tempfile.TemporaryDirectory() as folder:
        for path, content in files.items():
            local = Path(folder) / path
            local.parent.mkdir(parents=True, exist_ok=True)
            local.write_bytes(content)
        client.log_artifacts(run_id, folder)


def fetch(uri: str, location: str) -> bytes:
    """The ONNX artifact of an MLflow model.

    Args:
        uri: of the tracking server.
        location: where the model's files are.
    """
    import mlflow  # 3 s

    with tempfile.TemporaryDirectory() as place:
        folder = mlflow.artifacts.download_artifacts(f"{location}/{ARTIFACT}", dst_path=place, tracking_uri=uri)
        return Path(folder).read_bytes()


def log_model(uri: str, run_id: str, package: ModelPackage) -> Logged:
    """Keep a package as an MLflow model of a run, and end the run."""
    with warnings.catch_warnings():
        # mlflow.pyfunc warns of a type hint of its own, and of an example, which would be somebody's own values
        warnings.filterwarnings("ignore", message=".*Any type hint is inferred")
        warnings.filterwarnings("ignore", message=".*An input example was not provided")
        import mlflow.pyfunc  # 3 s
        from mlflow.models import Model

        mlflow.set_tracking_uri(uri)
        with mlflow.start_run(run_id=run_id):
            info = Model.log(artifact_path=None, name="model", flavor=_Flavour, package=package)
    return Logged(str(info.model_uri), str(info.model_id))


class _Flavour:
    """How `Model.log` writes the files: MLflow's `onnx` flavour for who wants the graph, ours to score rows."""

    @staticmethod
    def save_model(path: str, mlflow_model: Any, package: ModelPackage) -> None:  # noqa: ANN401 - mlflow's Model
        import mlflow.pyfunc

        with tempfile.TemporaryDirectory() as folder:
            code = shutil.copy(scorer.__file__, Path(folder) / f"{_LOADER}.py")
            mlflow.pyfunc.save_model(
                path, loader_module=_LOADER, code_paths=[str(code)], mlflow_model=mlflow_model,
                signature=_signature(package), pip_requirements=_requirements("onnxruntime", "numpy", "pandas"),
            )  # fmt: skip
        (Path(path) / ARTIFACT).write_bytes(package.onnx)
        declared = scorer.declare(package.inputs, package.classes, package.output, package.missing)
        (Path(path) / scorer.DECLARED).write_bytes(declared)
        mlflow_model.add_flavor(
            "onnx", onnx_version=installed("onnx"), data=ARTIFACT, providers=["CPUExecutionProvider"], code=None
        )
        mlflow_model.save(str(Path(path) / "MLmodel"))
        for each in Path(path).rglob("*"):  # what MLflow copies out of the project has the modes of the project
            each.chmod(0o700 if each.is_dir() else 0o600)


def _requirements(*names: str) -> list[str]:
    return [f"{name}=={installed(name)}" for name in names]


def _signature(package: ModelPackage) -> Any:  # noqa: ANN401 - mlflow's ModelSignature
    """The names of the columns. Of any type: MLflow's own would refuse 64-bit integers and booleans as numbers."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    make: Any = AnyType  # it has no types of its own
    anything = make()
    predicted = [ColSpec("string", "predicted")] if package.classes else []
    return ModelSignature(
        Schema([ColSpec(anything, name, required=False) for name in package.inputs]),
        Schema([ColSpec("double", "score"), *predicted]),
    )
