"""One forest for all servers: trained by the project's own loop in a copy of it, and handed to the peers."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.process import PROJECT, call, run, say

if TYPE_CHECKING:
    from ml_assets.training.frame import Frame

MODEL = "bench"
COMMAND = str(Path(sys.executable).with_name("ml-assets"))
ROWS = 64
"""How many different requests are sent in turn."""

_FILES = Path(__file__).parent / "serve_model"
_OF_A_USER = ("ML_ASSETS_", "MLFLOW_", "DAGSTER_HOME", "PROMETHEUS_")


@dataclass(frozen=True)
class Forest:
    """What the sides serve, and what they must answer.

    Args:
        folder: for the peers: `forest.joblib`, `columns.onnx`, and the MLflow models `sklearn`, `onnx` and
            `onnx-signature`.
        project: the copy of the project that holds the model folder.
        data: its data folder, with a release, a registry and an online store.
        entities: accounts that miss no feature.
        rows: their features at the date of the release.
        scores: P(label = 1) of each, by scikit-learn.
    """

    folder: Path
    project: Path
    data: Path
    entities: list[str]
    rows: list[dict[str, float]]
    scores: list[float]

    @property
    def variables(self) -> dict[str, str]:
        """The environment of `ml-assets`: the copy, and its data."""
        return {"PYTHONPATH": str(self.project), "ML_ASSETS_DATA": str(self.data)}


@contextmanager
def unsettled() -> Iterator[None]:
    """The environment without what its user has set for a project of their own."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(_OF_A_USER)}
    for name in kept:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(kept)


def prepared(folder: Path) -> Forest:
    """Train and release in a copy of the project below `folder`, and write what the peers serve."""
    project, data, peers = folder / "project", folder / "data", folder / "peers"
    peers.mkdir()
    say("a forest, by the loop")
    _copy(project)
    variables = {"PYTHONPATH": str(project), "ML_ASSETS_DATA": str(data)}
    run([COMMAND, "new", MODEL], variables)
    _declare(project / "ml_assets" / "defs" / MODEL)
    run([COMMAND, "run", MODEL], variables)
    say("the same for the peers")
    found = call("serve_forest:export", data, folder=str(peers))
    return Forest(peers, project, data, found["entities"], found["rows"], found["scores"])


def _copy(project: Path) -> None:
    """The package without its models: the user's own folders are not touched, and not loaded."""
    models = {"__pycache__", *(path.parent.name for path in PROJECT.glob("ml_assets/defs/*/defs.yaml"))}

    def ignored(path: str, names: list[str]) -> set[str]:
        return models & set(names) if Path(path).name == "defs" else {"__pycache__"} & set(names)

    shutil.copytree(PROJECT / "ml_assets", project / "ml_assets", ignore=ignored)
    for name in ("dagster.yaml", "pyproject.toml", "workspace.yaml"):
        shutil.copy(PROJECT / name, project)


def _declare(folder: Path) -> None:
    """Make of the folder that `ml-assets new` wrote the one that is served; its sample and first date stay."""
    found = re.search(r"start: (\d{4}-\d\d-\d\d)", (folder / "defs.yaml").read_text())
    assert found, "the template of `ml-assets new` names the first as-of date"
    shutil.rmtree(folder / "features")
    (folder / "features").mkdir()
    shutil.copy(_FILES / "activity.sql", folder / "features")
    (folder / "defs.yaml").write_text((_FILES / "defs.yaml").read_text().replace("@START@", found[1]))


# --- in a process of its own


def export(folder: str) -> dict[str, Any]:
    """The released ONNX file, and the same forest fitted by scikit-learn on the same rows, for each kind of peer."""
    from benchmarks.peers.forest import NAMES
    from ml_assets.settings import read_settings
    from ml_assets.storage.lake import Lake
    from ml_assets.storage.registry import Registry
    from ml_assets.training import dataset
    from ml_assets.training.frame import frame
    from ml_assets.training.record import record

    lake, registry, peers = Lake(str(read_settings().lake)), Registry(read_settings().tracking_uri), Path(folder)
    champion = registry.champion(MODEL)
    assert champion, "the loop has released a version"
    kept = record(registry, champion)
    assert kept.columns.numeric == NAMES, f"the features are {kept.columns}"
    (peers / "columns.onnx").write_bytes(registry.onnx(champion))
    rows = dataset.read(lake, kept.table, kept.as_of, kept.version)
    forest = _fit(peers, frame(rows, kept.columns, kept.entity, dataset.ROW), kept.parameters)
    served = lake.query(
        "SELECT * EXCLUDE (as_of) FROM f WHERE as_of = $day ORDER BY account_id LIMIT $rows",
        {"day": kept.as_of, "rows": ROWS},
        f=kept.features[0].kept,
    )
    sent = [{name: round(float(row[name]), 6) for name in NAMES} for row in served.to_pylist()]
    return {
        "entities": served[kept.entity].to_pylist(),
        "rows": sent,
        "scores": forest.predict_proba([list(row.values()) for row in sent])[:, 1].tolist(),
    }


def _fit(peers: Path, data: "Frame", parameters: dict[str, Any]) -> Any:  # noqa: ANN401 - of scikit-learn
    """The forest alone, which is faster than one behind the columns of a pipeline: that is to the peers' good."""
    import joblib
    import mlflow.sklearn
    from mlflow.models import infer_signature
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(**parameters, random_state=0).fit(data.X.to_numpy(), data.y)
    joblib.dump(forest, peers / "forest.joblib")
    named = RandomForestClassifier(**parameters, random_state=0).fit(data.X, data.y)
    rows = data.X.astype("float64")
    signature = infer_signature(rows, named.predict_proba(rows))
    mlflow.sklearn.save_model(
        named, str(peers / "sklearn"), signature=signature, pyfunc_predict_fn="predict_proba",
        serialization_format="cloudpickle",
    )  # fmt: skip
    _save_onnx(peers, forest, infer_signature(rows))
    return forest


def _save_onnx(peers: Path, forest: Any, signature: Any) -> None:  # noqa: ANN401 - of scikit-learn and MLflow
    """As MLflow can serve it: its ONNX flavour passes no [n, 1] columns, and returns no outputs of two shapes."""
    import mlflow.onnx
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    matrix = [("rows", FloatTensorType([None, forest.n_features_in_]))]
    model = convert_sklearn(forest, initial_types=matrix, options={id(forest): {"zipmap": False}}, target_opset=21)
    del model.graph.output[0]  # the label
    threads = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}
    for name, checked in (("onnx", None), ("onnx-signature", signature)):
        mlflow.onnx.save_model(model, str(peers / name), signature=checked, onnx_session_options=threads)
