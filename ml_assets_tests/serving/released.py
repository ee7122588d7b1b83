"""Releases to serve: a model that is small enough to know by heart, published on a server's disk without a registry."""

import hashlib
import math
import time
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import pyarrow as pa

from ml_assets.features.online.schema import Column, Schema
from ml_assets.features.online.store import open_store
from ml_assets.serving.models.releases import ReleasedRoute, Releases, Routes, VariantRelease
from ml_assets.storage.manifest import Band, Input, Manifest, PassedGate

MODEL, ENTITY, FEATURES = "churn", "customer_id", "churn@0123456789ab"
INPUTS = (Input("total spend", "number", "purchases", 10.0), Input("n", "number", "purchases", 1.0),
          Input("plan", "text", "tenure", "pro"))  # fmt: skip
AS_OF = date(2026, 11, 15)


def probability(spend: float, n: float, shift: float = 0.0) -> float:
    """What the model says."""
    return 1 / (1 + math.exp(-(spend + n + shift)))


@cache
def onnx(shift: float = 0.0, features: tuple[Input, ...] = INPUTS) -> bytes:
    """P = sigmoid(spend + n + shift); a missing number is 0, the text is not looked at.

    Args:
        shift: that is added.
        features: two numbers, and what is not looked at.
    """
    from onnx import TensorProto, helper

    number, text = TensorProto.FLOAT, TensorProto.STRING
    inputs = [
        helper.make_tensor_value_info(each.name, text if each.kind == "text" else number, [None, 1])
        for each in features
    ]
    nodes, summed = [], []
    zero = helper.make_tensor("zero", number, [1], [0.0])
    for i, each in enumerate([each for each in features if each.kind == "number"]):
        nodes += [
            helper.make_node("IsNaN", [each.name], [f"hole{i}"]),
            helper.make_node("Where", [f"hole{i}", "zero", each.name], [f"number{i}"]),
        ]
        summed.append(f"number{i}")
    nodes += [
        helper.make_node("Sum", [*summed, "shift"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["p"]),
        helper.make_node("Sub", ["one", "p"], ["q"]),
        helper.make_node("Concat", ["q", "p"], ["probabilities"], axis=1),
    ]
    constants = [zero, helper.make_tensor("shift", number, [1], [shift]), helper.make_tensor("one", number, [1], [1.0])]
    output = helper.make_tensor_value_info("probabilities", number, [None, 2])
    graph = helper.make_graph(nodes, "small", inputs, [output], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return bytes(made.SerializeToString())


def manifest(
    version: int = 1,
    shift: float = 0.0,
    model: str = MODEL,
    feature_set: str = FEATURES,
    inputs: Sequence[Input] = INPUTS,
) -> Manifest:
    """The manifest of such a model."""
    return Manifest(
        model=model, version=version, as_of=str(AS_OF), entity=ENTITY, sha256=hashlib.sha256(onnx(shift)).hexdigest(),
        inputs=tuple(inputs), ttls={"purchases": 14 * 86400.0, "tenure": 14 * 86400.0}, feature_set=feature_set,
        bands=(Band("low", 0.0), Band("medium", 0.3), Band("high", 0.6)), max_rows=5, metrics={"roc_auc": 0.8},
        gates=(PassedGate("roc_auc_at_least", 0.8, 0.7, "roc_auc is 0.8, at least 0.7"),), reason="all 1 gates passed",
        run_id="run1", run_url="http://127.0.0.1:5000/#/experiments/1/runs/run1",
        tags={"dagster_run_id": "dagster1", "mlflow.source.git.commit": "abc"}, tables={"churn/labels/1": 3},
    )  # fmt: skip


def champion(model: str, release: str, version: int, since: float) -> ReleasedRoute:
    """The route of a model whose champion is a release."""
    return ReleasedRoute.of_champion(model, VariantRelease(release, version, since))


def release(data: Path, version: int = 1, shift: float = 0.0, *, feature_set: str = FEATURES) -> str:
    """Make a version the champion on a server's disk, as its follower does."""
    releases = Releases.at(data)
    made = manifest(version, shift, feature_set=feature_set)
    name = releases.save_release(made.to_json(), onnx(shift))
    known = releases.routes().models
    releases.save_routes(Routes({**known, MODEL: champion(MODEL, name, version, time.time())}, time.time()))
    return name


def write(url: str, rows: dict[str, tuple[float | None, int, str]], as_of: date = AS_OF, name: str = FEATURES) -> None:
    """Online records: entity → spend, n, plan."""
    columns = (
        Column("n", "int64", "purchases"),
        Column("plan", "string", "tenure"),
        Column("total spend", "double", "purchases"),
    )
    schema = Schema(name, ENTITY, columns, (("purchases", timedelta(days=14)), ("tenure", timedelta(days=400))))
    batch = pa.RecordBatch.from_pydict({
        ENTITY: list(rows),
        "total spend": pa.array([row[0] for row in rows.values()], pa.float64()),
        "n": [row[1] for row in rows.values()],
        "plan": [row[2] for row in rows.values()],
    })  # fmt: skip
    store = open_store(url)
    store.write(schema, [batch], as_of)
    store.finish(schema, as_of)
    store.close()
