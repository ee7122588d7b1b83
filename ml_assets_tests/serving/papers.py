"""A model of documents to serve: it reads every text, and always says the same of it."""

import hashlib
import time
from functools import cache
from pathlib import Path
from typing import Any

from ml_assets.serving.models.releases import Releases, Routes
from ml_assets.storage.manifest import Input, Manifest, RowQuery
from ml_assets_tests.serving.released import champion

MODEL, CLASSES = "papers", ("lease", "addendum", "other")


@cache
def onnx() -> bytes:
    """P = .7, .2, .1, whatever the text."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Shape", ["text"], ["rows"], start=0, end=1),
        helper.make_node("Concat", ["rows", "one"], ["shape"], axis=0),
        helper.make_node("Tile", ["said", "shape"], ["probabilities"]),
    ]
    constants = [
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        helper.make_tensor("said", TensorProto.FLOAT, [1, 3], [0.7, 0.2, 0.1]),
    ]
    text = helper.make_tensor_value_info("text", TensorProto.STRING, [None, 1])
    output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 3])
    graph = helper.make_graph(nodes, "papers", [text], [output], constants)
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
    )


def release(data: Path, **changes: Any) -> None:
    """Make it a champion on a server's disk, beside those that are there."""
    releases = Releases.at(data)
    manifest = Manifest(
        model=MODEL, version=1, as_of="2026-11-15", entity="document_id", sha256=hashlib.sha256(onnx()).hexdigest(),
        inputs=(Input("text", "document", "papers", "lease"),), ttls={"papers": 86400.0}, feature_set="papers@1",
        bands=(), max_rows=3, metrics={}, gates=(), reason="", run_id="", run_url="", tags={}, tables={},
        classes=CLASSES, documents=(RowQuery("SELECT document_id, text FROM text", "text", as_of=False),), **changes,
    )  # fmt: skip
    name = releases.save_release(manifest.to_json(), onnx())
    releases.save_routes(
        Routes(
            {**releases.routes().models, MODEL: champion(MODEL, name, 1, time.time())},
            time.time(),
        )
    )
