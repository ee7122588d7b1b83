"""What an artifact does, read from its graph: which column of which feature its trees or coefficients see.

So nothing is asked of the estimator, and thresholds and coefficients are those that answer. A graph with an operator
that is not known here, or whose answer is no sum, is not read; its reasons are sampled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ml_assets.reasons.columns import ArtifactGraph, OpaqueError, SeenColumn, attributes_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Nodes(NamedTuple):
    """The nodes of all trees, and the leaves among them.

    Args:
        columns: of each node, the column that it asks.
        thresholds: the value up to which its condition holds, float32.
        branches: whether it is one.
        when_true: the next node where the condition holds.
        when_false: the next node where it does not.
        missing_true: whether a missing value goes where the condition holds.
        leaves: the nodes that are leaves; one of several outputs stands several times.
        weights: of each leaf.
        outputs: the output that each leaf adds to.
    """

    columns: "NDArray[np.int64]"
    thresholds: "NDArray[np.float32]"
    branches: "NDArray[np.bool_]"
    when_true: "NDArray[np.int64]"
    when_false: "NDArray[np.int64]"
    missing_true: "NDArray[np.bool_]"
    leaves: "NDArray[np.int64]"
    weights: "NDArray[np.float64]"
    outputs: "NDArray[np.int64]"


@dataclass(frozen=True)
class TreeModel:
    """A sum of trees: their nodes, the columns that these ask, and what is added, [outputs]."""

    columns: Sequence[SeenColumn]
    nodes: Nodes
    base: "NDArray[np.float64]"


@dataclass(frozen=True)
class LinearModel:
    """A weighted sum of columns: coefficients, [columns, outputs], and what is added, [outputs]."""

    columns: Sequence[SeenColumn]
    coefficients: "NDArray[np.float64]"
    base: "NDArray[np.float64]"


def read_graph(onnx: bytes) -> TreeModel | LinearModel | None:
    """The sum that an artifact computes, in log-odds; None where its answer is none, or not known to be one."""
    from onnx import load_from_string  # 0.1 s

    graph = ArtifactGraph(load_from_string(onnx))
    try:
        node = graph.classifier()
        columns = graph.columns(node.input[0])
        attributes = attributes_of(node)
        made = _trees(columns, attributes) if node.op_type == "TreeEnsembleClassifier" else _linear(columns, attributes)
    except OpaqueError:
        return None
    return made


def _trees(columns: Sequence[SeenColumn], attributes: Mapping[str, Any]) -> TreeModel:
    modes = np.array(attributes["nodes_modes"])
    branches = modes == b"BRANCH_LEQ"
    outputs = np.array(attributes["class_ids"], np.int64)
    classes = max(len(attributes.get(name, ())) for name in ("classlabels_int64s", "classlabels_strings"))
    if not (branches | (modes == b"LEAF")).all() or any(column.term for column in columns):
        raise OpaqueError
    binary = classes == 2 and len(set(outputs.tolist())) == 1
    if attributes.get("post_transform") != (b"LOGISTIC" if binary else b"SOFTMAX"):
        raise OpaqueError  # votes are no sum of log-odds
    if any(column.is_number and (column.mean or column.scale != 1) for column in columns):
        raise OpaqueError
    places = {
        key: at for at, key in enumerate(zip(attributes["nodes_treeids"], attributes["nodes_nodeids"], strict=True))
    }

    def nodes(trees: str, names: str) -> "NDArray[np.int64]":
        pairs = zip(attributes[trees], attributes[names], strict=True)
        return np.array([places.get(pair, -1) for pair in pairs], np.int64)

    base = np.zeros(1 if binary else classes)
    base += np.array(attributes.get("base_values") or [0.0], np.float64)
    missing = attributes.get("nodes_missing_value_tracks_true") or [0] * len(branches)
    return TreeModel(
        columns,
        Nodes(
            np.array(attributes["nodes_featureids"], np.int64),
            np.array(attributes["nodes_values"], np.float32),
            branches,
            nodes("nodes_treeids", "nodes_truenodeids"),
            nodes("nodes_treeids", "nodes_falsenodeids"),
            np.array(missing, bool),
            nodes("class_treeids", "class_nodeids"),
            np.array(attributes["class_weights"], np.float64),
            np.zeros_like(outputs) if binary else outputs,
        ),
        base,
    )


def _linear(columns: Sequence[SeenColumn], attributes: Mapping[str, Any]) -> LinearModel:
    coefficients = np.array(attributes["coefficients"], np.float64).reshape(-1, len(columns)).T
    base, transform = np.array(attributes["intercepts"], np.float64), attributes.get("post_transform")
    if coefficients.shape[1] == 2 and transform in {b"LOGISTIC", b"SOFTMAX"}:
        down = 0.0 if transform == b"LOGISTIC" else 1.0  # the logistic function of one output, or of a difference
        return LinearModel(columns, coefficients[:, 1:] - down * coefficients[:, :1], base[1:] - down * base[:1])
    if transform != b"SOFTMAX":
        raise OpaqueError
    return LinearModel(columns, coefficients, base)
