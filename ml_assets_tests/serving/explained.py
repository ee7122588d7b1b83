"""A release of small trees, with its reasons, and the model whose reasons can only be sampled."""

import time
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

from ml_assets.reasons.contributions import Value
from ml_assets.reasons.explainer import build_explainer, write_explainer
from ml_assets.serving.models.artifact import Artifact
from ml_assets.serving.models.releases import Releases, Routes
from ml_assets.storage.manifest import ReleasedReasons
from ml_assets_tests.serving import released
from ml_assets_tests.serving.released import MODEL

TEXTS = {"n": "orders much"}
NAMES = [column.name for column in released.INPUTS]
_BACKGROUND: list[list[Value]] = [
    [-1.0, 3.0, "pro"], [0.0, 1.0, "basic"], [0.5, None, None], [2.0, 0.0, "pro"],
]  # fmt: skip


@cache
def trees() -> bytes:
    """Trees over the inputs of `released`."""
    from ml_assets.training.estimator import build
    from ml_assets.training.export import to_onnx
    from ml_assets.training.frame import FeatureColumns

    rng, columns = np.random.default_rng(0), FeatureColumns(("total spend", "n"), ("plan",))
    X = pd.DataFrame(rng.normal(size=(400, 2)).astype(np.float32), columns=["total spend", "n"])  # noqa: N806 - scikit-learn's name
    X["plan"] = pd.Series(rng.choice(["pro", "basic"], 400), dtype="str")
    y = (X["total spend"] + X["n"] + (X["plan"] == "pro") + rng.normal(size=400) > 0).astype(int)
    path = "sklearn.ensemble.HistGradientBoostingClassifier"
    return to_onnx(build(path, {"max_iter": 10, "max_leaf_nodes": 5}, columns, 0).fit(X, y), columns)


def release(data: Path, onnx: bytes, version: int = 1, always: int = 0) -> str:
    """Make a version with reasons the champion on a server's disk."""
    plain = replace(released.manifest(version), sha256=sha256(onnx).hexdigest())
    artifact = Artifact(plain, onnx)
    players = {name: name for name in NAMES}
    content = write_explainer(build_explainer(onnx, NAMES, _BACKGROUND, players, predict=artifact.probabilities))
    manifest = replace(plain, reasons=ReleasedReasons(sha256(content).hexdigest(), always, TEXTS))
    releases = Releases.at(data)
    name = releases.save_release(manifest.to_json(), onnx, content)
    releases.save_routes(Routes({MODEL: released.champion(MODEL, name, version, time.time())}, time.time()))
    return name
