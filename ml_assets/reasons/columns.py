"""The columns that trees or coefficients see, followed through an artifact's graph to the features they are made of."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ml_assets.storage.artifact_inputs import ArtifactInputs
from ml_assets.storage.manifest import PROBABILITIES


class SeenColumn(NamedTuple):
    """A column that trees or coefficients see.

    Args:
        feature: whose it is.
        level: of a category, the code whose rows hold 1.
        term: of running text, the term whose weight it is.
        fill: of a number, what stands for a missing one; None: it stays missing.
        mean: of a number, what is subtracted.
        scale: of a number, what it is divided by then.
        codes: of a category, text → code.
        other: the code of any other text.
        dampened: of a term, whether it counts 1 + ln(tf) rather than tf.
        unit: of a term, whether the weights of a text have length one.
    """

    feature: str
    level: int | None = None
    term: str | None = None
    fill: float | None = None
    mean: float = 0.0
    scale: float = 1.0
    codes: Mapping[str, int] | None = None
    other: int = -1
    dampened: bool = False
    unit: bool = False

    @property
    def is_number(self) -> bool:
        """Whether it is a number as it came, or scaled."""
        return self.codes is None and self.term is None


class OpaqueError(Exception):
    """A part of a graph that is not known here."""


class ArtifactGraph:
    """A graph that can be followed from a tensor to the features that it is made of."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - an ONNX ModelProto
        from onnx import numpy_helper

        self._makers = {output: node for node in model.graph.node for output in node.output}
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        inputs = ArtifactInputs.of_model(model)
        self._inputs: dict[str, list[SeenColumn]] = {name: [] for name in inputs.widths}
        for feature, place in inputs.places.items():
            self._inputs[place.tensor].append(SeenColumn(feature))

    def classifier(self) -> Any:  # noqa: ANN401 - an ONNX NodeProto
        """The node whose probabilities are the answer."""
        tensor = PROBABILITIES
        while (node := self._makers.get(tensor)) is not None:
            if node.op_type in {"TreeEnsembleClassifier", "LinearClassifier"} and node.output[1] == tensor:
                return node
            if node.op_type not in {"Identity", "Cast"} and attributes_of(node).get("norm") != b"L1":
                break
            tensor = node.input[0]
        raise OpaqueError

    def columns(self, tensor: str) -> list[SeenColumn]:
        """The columns of a tensor."""
        if tensor in self._inputs:
            return self._inputs[tensor]
        node = self._makers.get(tensor)
        if node is None or node.op_type not in _OPERATORS:
            raise OpaqueError
        return _OPERATORS[node.op_type](self, node)

    def numbers(self, name: str, count: int) -> list[float]:
        """A constant, one number for each of so many columns."""
        if name not in self.constants:
            raise OpaqueError
        return [float(value) for value in np.broadcast_to(self.constants[name].reshape(-1), count)]


def _same(graph: ArtifactGraph, node: Any) -> list[SeenColumn]:  # noqa: ANN401 - an ONNX NodeProto
    return graph.columns(node.input[0])


def _join(graph: ArtifactGraph, node: Any) -> list[SeenColumn]:  # noqa: ANN401 - as above
    return [column for name in node.input for column in graph.columns(name)]


def _select(graph: ArtifactGraph, node: Any) -> list[SeenColumn]:  # noqa: ANN401 - as above
    columns = graph.columns(node.input[0])
    if node.input[1] not in graph.constants or attributes_of(node).get("axis", 1) not in {1, -1}:
        raise OpaqueError
    return [columns[at] for at in graph.constants[node.input[1]].reshape(-1).tolist()]


def _impute(graph: ArtifactGraph, node: Any) -> list[SeenColumn]:  # noqa: ANN401 - as above
    attributes, columns = attributes_of(node), graph.columns(node.input[0])
    fills = attributes.get("imputed_value_floats", [])
    if len(fills) not in {1, len(columns)} or not np.isnan(attributes.get("replaced_value_float", 0.0)):
        raise OpaqueError
    fills = fills * len(columns) if len(fills) == 1 else fills
    return [column._replace(fill=float(fill)) for column, fill in zip(columns, fills, strict=True)]


def _subtract(graph: ArtifactGraph, node: Any) -> list[SeenColumn]:  # noqa: ANN401 - as above
    columns = graph.columns(node.input[0])
    by = graph.numbers(node.input[1], len(columns))
    if any(not column.is_number or column.mean or column.scale != 1 for column in columns):
        raise OpaqueError
    return [column._replace(mean=value) for column, value in zip(columns, by, strict=True)]


def _divide(graph: ArtifactGraph, node: Any) -> list[SeenColumn]:  # noqa: ANN401 - as above
    columns = graph.columns(node.input[0])
    by = graph.numbers(node.input[1], len(columns))
    if any(not column.is_number or column.scale != 1 for column in columns):
        raise OpaqueError
    return [column._replace(scale=value) for column, value in zip(columns, by, strict=True)]


def _code(graph: ArtifactGraph, node: Any) -> list[SeenColumn]:  # noqa: ANN401 - as above
    attributes = attributes_of(node)
    (column,) = graph.columns(node.input[0])
    if "keys_strings" not in attributes or "values_int64s" not in attributes:
        raise OpaqueError
    words = [word.decode() for word in attributes["keys_strings"]]
    codes = dict(zip(words, attributes["values_int64s"], strict=True))
    return [column._replace(codes=codes, other=attributes.get("default_int64", -1))]


def _spread(graph: ArtifactGraph, node: Any) -> list[SeenColumn]:  # noqa: ANN401 - as above
    (column,) = graph.columns(node.input[0])
    if column.codes is None:
        raise OpaqueError
    return [column._replace(level=level) for level in attributes_of(node)["cats_int64s"]]


def _count_terms(graph: ArtifactGraph, node: Any) -> list[SeenColumn]:  # noqa: ANN401 - as above
    """The terms of a pool: it lists the tokens of single words first, then both tokens of each pair, and so on.

    `ngram_counts` says where each of these begins: https://onnx.ai/onnx/operators/onnx__TfIdfVectorizer.html.
    """
    attributes = attributes_of(node)
    (column,) = graph.columns(node.input[0])
    if attributes.get("mode") != b"TF" or set(attributes.get("weights", [1.0])) != {1.0}:
        raise OpaqueError
    pool, starts = [token.decode() for token in attributes["pool_strings"]], [*attributes["ngram_counts"]]
    terms: list[str] = []
    for length, (start, stop) in enumerate(zip(starts, [*starts[1:], len(pool)], strict=True), start=1):
        terms += [" ".join(pool[at : at + length]) for at in range(start, stop, length)]
    columns = [SeenColumn("")] * len(terms)
    for term, at in zip(terms, attributes["ngram_indexes"], strict=True):
        columns[at] = column._replace(term=term)
    return columns


def _dampen(graph: ArtifactGraph, node: Any) -> list[SeenColumn]:  # noqa: ANN401 - as above
    """`_weigh` of the converters: ln(max(tf, 1)) + min(tf, 1)."""
    kinds = [graph._makers[name].op_type if name in graph._makers else "" for name in node.input]  # noqa: SLF001 - the same module
    if kinds != ["Log", "Min"]:
        raise OpaqueError
    return [column._replace(dampened=True) for column in graph.columns(node.input[0])]


def _of_terms(graph: ArtifactGraph, node: Any) -> list[SeenColumn]:  # noqa: ANN401 - as above
    columns = graph.columns(node.input[0])
    if any(column.term is None for column in columns):
        raise OpaqueError
    return columns


def _normalise(graph: ArtifactGraph, node: Any) -> list[SeenColumn]:  # noqa: ANN401 - as above
    if attributes_of(node).get("norm") != b"L2":
        raise OpaqueError
    return [column._replace(unit=True) for column in _of_terms(graph, node)]


_OPERATORS: Mapping[str, Callable[[ArtifactGraph, Any], list[SeenColumn]]] = {
    **dict.fromkeys(("Identity", "Cast", "Reshape", "Flatten", "Tokenizer"), _same),
    **dict.fromkeys(("Concat", "FeatureVectorizer"), _join),
    **dict.fromkeys(("Gather", "ArrayFeatureExtractor"), _select),
    **dict.fromkeys(("Max", "Min", "Log"), _of_terms),
    "Imputer": _impute,
    "Sub": _subtract,
    "Div": _divide,
    "LabelEncoder": _code,
    "OneHotEncoder": _spread,
    "TfIdfVectorizer": _count_terms,
    "Add": _dampen,
    "Normalizer": _normalise,
}


def attributes_of(node: Any) -> dict[str, Any]:  # noqa: ANN401 - an ONNX NodeProto
    """The attributes of a node, by name."""
    from onnx import helper

    return {each.name: helper.get_attribute_value(each) for each in node.attribute}
