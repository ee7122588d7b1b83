"""MLflow's own ways to score the champion: `pyfunc` on what the feature store gives, and `mlflow models serve`."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pandas as pd
import pytest

from ml_assets.features import FeatureStore
from ml_assets.storage.registry import Registry, Version
from ml_assets.training.dataset import build
from ml_assets.training.record import record
from ml_assets.training.score import feature_rows, scores
from ml_assets.training.train import train
from ml_assets_tests.conftest import AS_OF, FIRST, Tiny
from ml_assets_tests.processes import answering, environment, free_port

pytestmark = pytest.mark.slow  # MLflow, and a server of its own

YAML = f"""
type: ml_assets.components.Source
attributes: {{name: orders, files: orders/*.parquet, event_time: made_at}}
---
type: ml_assets.components.FeatureView
attributes: {{name: habits, sql: features/habits.sql, lookback: 56d}}
---
type: ml_assets.components.Model
attributes:
  entity: customer
  cadence: {{every: weekly, start: {FIRST}}}
  label: {{sql: label.sql, horizon: 14d}}
  features: [habits]
"""


def champion(shop: Tiny) -> Version:
    folder = shop.folder()
    version = train(shop.lake, shop.registry, folder, build(shop.lake, folder, AS_OF), tags={}).version
    shop.registry.promote(version)
    return version


def asked(shop: Tiny) -> "pd.DataFrame":
    """What a notebook has: entities at a moment with their features, some unknown."""
    shop.write("defs.yaml", YAML)
    at = datetime.combine(AS_OF, time())
    entities = pd.DataFrame({"customer": range(90), "at": at, "note": "mine"}).set_index(np.arange(100, 190))
    with FeatureStore(shop.lake, f"sqlite:///{shop.root}/online.db", shop.root, workers=1) as store:
        found: pd.DataFrame = store.training_set(entities, ["shop/habits"])
        return found


def expected(shop: Tiny, version: Version, frame: "pd.DataFrame") -> dict[int, float]:
    kept = record(shop.registry, version)
    table = feature_rows(shop.lake, shop.folder(), kept, [AS_OF])
    found = dict(zip(table["customer"].to_pylist(), scores(shop.registry.onnx(version), kept, table), strict=True))
    return {customer: found[customer] for customer in frame["customer"] if customer in found}


@contextmanager
def mlflow_serves(registry: Registry, folder: Path) -> Iterator[str]:
    """`mlflow models serve` of the champion."""
    port = free_port()
    command = [
        sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/shop@champion", "--env-manager", "local",
        "--port", str(port), "--host", "127.0.0.1",
    ]  # fmt: skip
    variables = environment(folder, MLFLOW_TRACKING_URI=registry.uri, MLFLOW_DISABLE_TELEMETRY="true")
    # As on a machine without the project: what scores comes with the model.
    variables["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with (folder / "serve.log").open("wb") as said:
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=said, stderr=said, start_new_session=True)
    try:
        yield answering(f"http://127.0.0.1:{port}", "/ping")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def invoke(url: str, body: dict[str, Any]) -> list[float]:
    headers = {"Content-Type": "application/json"}
    request = Request(f"{url}/invocations", json.dumps(body).encode(), headers)  # noqa: S310 - of this machine
    with urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
        return [row["score"] for row in json.load(answer)["predictions"]]


def test_mlflow_scores_what_the_feature_store_gives(tiny: Tiny, empty_registry: Path) -> None:
    import mlflow

    tiny.take_registry(empty_registry)
    version, frame = champion(tiny), asked(tiny)
    wanted = expected(tiny, version, frame)
    assert len(wanted) > 50
    assert frame["kind"].isna().any()
    assert frame.dtypes["orders"].kind in "iuf"
    mlflow.set_tracking_uri(tiny.registry.uri)
    model = mlflow.pyfunc.load_model("models:/shop@champion")
    for rows_of in (frame, frame.convert_dtypes(), frame.drop(columns=["customer", "at", "note"]).astype(object)):
        found = model.predict(rows_of)
        assert found.index.equals(frame.index)
        scored = dict(zip(frame["customer"], found["score"], strict=True))
        assert {customer: scored[customer] for customer in wanted} == wanted, "digit for digit"
    known = frame[frame["customer"].isin(list(wanted)) & frame["orders"].notna()]
    right = [wanted[customer] for customer in known["customer"]]
    assert model.predict(known.astype({"orders": "int64"}))["score"].tolist() == right
    with pytest.raises(Exception, match="no column 'orders'"):
        model.predict(frame.drop(columns="orders"))
    plain = mlflow.onnx.load_model("models:/shop@champion")
    assert plain.graph.input[0].name == "numbers"
    with mlflow_serves(tiny.registry, tiny.root) as url:
        split = json.loads(known.drop(columns="at").to_json(orient="split", index=False))
        assert invoke(url, {"dataframe_split": split}) == pytest.approx(right, rel=1e-9)
        records = json.loads(known.head(2).drop(columns="at").to_json(orient="records"))
        assert invoke(url, {"dataframe_records": records}) == pytest.approx(right[:2], rel=1e-9)
