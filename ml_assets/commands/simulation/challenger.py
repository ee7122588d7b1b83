"""Challengers of known fault: the graph of a champion, changed so that it really is slow, fails or lacks a feature.

Faults of production show in production only: a request of one row meets them, a batch does not. So the gates, which
score many rows, find nothing, as they found nothing of the real ones.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from ml_assets.errors import TrainingError, list_values
from ml_assets.storage.artifact_inputs import ArtifactInputs
from ml_assets.storage.manifest import MISSING, PROBABILITIES, Input

if TYPE_CHECKING:
    from collections.abc import Callable

Fault = Literal["same", "better", "slow", "failing", "missing", "worse"]
FAULTS: tuple[Fault, ...] = get_args(Fault)

SHARPNESS = 1.6
"""The truth of simulated customers is the champion's probability to this power, and `better` knows it."""

SLOWER_MS = 10.0
"""How much longer `slow` takes for a row; servers wait at least 50 ms before they fall back to the champion."""

_SIDE = 64
_TRIAL = 300
"""Turns of the loop by which its time is measured."""


@dataclass(frozen=True)
class ChampionArtifact:
    """The graph that a challenger is made of.

    Args:
        onnx: the artifact.
        inputs: of its manifest.
        leading: the feature that it leans on most.
    """

    onnx: bytes
    inputs: tuple[Input, ...]
    leading: str

    def tensor(self, feature: str) -> tuple[str, int, int]:
        """The input of a feature in the graph, the feature's column in it, and its number of columns."""
        inputs = ArtifactInputs.of_session(_session(self.onnx))
        place = inputs.places[feature]
        return (*place, inputs.widths[place.tensor])

    def input(self, feature: str) -> Input:
        """A feature's line in the manifest."""
        return next(each for each in self.inputs if each.name == feature)


def build_challenger(champion: ChampionArtifact, fault: Fault) -> bytes:
    """The artifact of a challenger.

    Raises:
        TrainingError: the champion has no input that the fault could depend on.
    """
    builders: dict[Fault, Callable[[ChampionArtifact], bytes]] = {
        "same": lambda artifact: artifact.onnx,
        "better": _sharpen,
        "slow": _slow_down,
        "failing": _break,
        "missing": _forget,
        "worse": _shuffle,
    }
    return builders[fault](champion)


def _sharpen(champion: ChampionArtifact) -> bytes:
    """Probabilities to a power, added up to 1 again: those of two classes move away from one half."""
    graph = _Graph(champion.onnx)
    powers = graph.add("Pow", graph.original, graph.number("power", SHARPNESS))
    total = graph.add("ReduceSum", powers, graph.whole("last", [1]), keepdims=1)
    return graph.finish(graph.add("Div", powers, total))


def _shuffle(champion: ChampionArtifact) -> bytes:
    """A probability becomes the fraction of a multiple of it, which ranks like chance; of several, the next one's."""
    graph = _Graph(champion.onnx)
    if graph.classes > 2:
        order = [(place + 1) % graph.classes for place in range(graph.classes)]
        return graph.finish(graph.add("Gather", graph.original, graph.whole("order", order), axis=1))
    turned = graph.add("Mul", graph.original, graph.number("many", 1009.0))
    rest = graph.add("Sub", turned, graph.add("Floor", turned))
    positive = graph.add("Gather", rest, graph.whole("second", [1]), axis=1)
    negative = graph.add("Sub", graph.number("one", 1.0), positive)
    return graph.finish(graph.add("Concat", negative, positive, axis=1))


def _forget(champion: ChampionArtifact) -> bytes:
    """The leading feature of a single row is missing, whatever was sent."""
    graph, feature = _Graph(champion.onnx), champion.input(champion.leading)
    tensor, column, width = champion.tensor(champion.leading)
    absent: dict[str, float | str] = {"number": float("nan"), "text": MISSING, "document": ""}
    nothing = graph.constant("nothing", absent[feature.kind])
    forgotten = graph.add("And", graph.is_single(tensor, width), graph.mask("forgotten", column, width))
    graph.replace_input(tensor, graph.add("Where", forgotten, nothing, tensor))
    return graph.finish(graph.original)


def _break(champion: ChampionArtifact) -> bytes:
    """A single row whose value lies above the typical one asks for an element that is not there."""
    numeric = [each for each in champion.inputs if each.kind == "number" and isinstance(each.example, int | float)]
    if not numeric:
        known = list_values([each.name for each in champion.inputs])
        raise TrainingError(f"no feature is a number ({known}): choose another fault than failing")
    feature = next((each for each in numeric if each.name == champion.leading), numeric[0])
    graph, (tensor, column, width) = _Graph(champion.onnx), champion.tensor(feature.name)
    highest = graph.add("ReduceMax", graph.add("Gather", tensor, graph.whole("own", [column]), axis=1), keepdims=0)
    above = graph.add("Greater", highest, graph.number("typical", float(feature.example or 0.0), shape=[]))
    fails = graph.add("And", above, graph.is_single(tensor, width))
    place = graph.add("Where", fails, graph.whole("beyond", 1), graph.whole("there", 0))
    whole = graph.add("Unsqueeze", graph.original, graph.whole("front", [0]))
    return graph.finish(graph.add("Gather", whole, place, axis=0))


def _slow_down(champion: ChampionArtifact) -> bytes:
    """A single row waits for a loop of products of matrices that adds nothing."""
    turns = _TRIAL * SLOWER_MS / max(_milliseconds(champion, _looping(champion, _TRIAL)), 0.01)
    return _looping(champion, max(1, round(turns)))


def _looping(champion: ChampionArtifact, turns: int) -> bytes:
    graph = _Graph(champion.onnx)
    tensor, _, width = champion.tensor(champion.inputs[0].name)
    single = graph.is_single(tensor, width)
    count = graph.add("Where", single, graph.whole("turns", turns), graph.whole("none", 0))
    square = graph.add("Loop", count, "", graph.zeros("square"), body=graph.product())
    nothing = graph.add("ReduceSum", square, keepdims=0)
    return graph.finish(graph.add("Add", graph.original, nothing))


def _milliseconds(champion: ChampionArtifact, onnx: bytes) -> float:
    """How much longer a row takes than the champion's."""
    return _duration(onnx, champion) - _duration(champion.onnx, champion)


def _duration(onnx: bytes, champion: ChampionArtifact) -> float:
    model, row, best = _session(onnx), _typical_row(champion), float("inf")
    for _ in range(5):
        started = time.perf_counter()
        model.run([PROBABILITIES], row)
        best = min(best, (time.perf_counter() - started) * 1000)
    return best


def _typical_row(champion: ChampionArtifact) -> dict[str, Any]:
    import numpy as np

    return ArtifactInputs.of_session(_session(champion.onnx)).feed(
        {
            each.name: np.array([each.example], np.float32 if each.kind == "number" else object)
            for each in champion.inputs
        }
    )


def _session(onnx: bytes) -> Any:  # noqa: ANN401 - onnxruntime has no types
    from ml_assets.training.export import session

    return session(onnx)


class _Graph:
    """An ONNX graph to which nodes are added; each method that adds something gives its name."""

    def __init__(self, onnx: bytes) -> None:
        from onnx import load_from_string

        self._model = load_from_string(onnx)
        self._added = 0
        self._prefix = _free_prefix(self._model.graph)
        self.original = f"{self._prefix}original"
        for node in self._model.graph.node:
            node.output[:] = [self.original if name == PROBABILITIES else name for name in node.output]
            node.input[:] = [self.original if name == PROBABILITIES else name for name in node.input]

    @property
    def classes(self) -> int:
        """How many probabilities a row has."""
        output = next(each for each in self._model.graph.output if each.name == PROBABILITIES)
        return int(output.type.tensor_type.shape.dim[-1].dim_value) or 2

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401 - what ONNX takes
        """A node."""
        from onnx import helper

        self._added += 1
        output = f"{self._prefix}{self._added}"
        self._model.graph.node.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, name: str, value: float | str) -> str:
        """A number or a text of shape [1]."""
        return self.number(name, value) if isinstance(value, float) else self._keep(name, "STRING", [1], [value])

    def number(self, name: str, value: float, shape: tuple[int, ...] | list[int] = (1,)) -> str:
        """A float."""
        return self._keep(name, "FLOAT", list(shape), [value])

    def whole(self, name: str, value: int | list[int]) -> str:
        """A whole number, or a list of them."""
        shape = [len(value)] if isinstance(value, list) else []
        return self._keep(name, "INT64", shape, value if isinstance(value, list) else [value])

    def zeros(self, name: str) -> str:
        """A square of zeros."""
        return self._keep(name, "FLOAT", [_SIDE, _SIDE], [0.0] * _SIDE**2)

    def mask(self, name: str, column: int, width: int) -> str:
        """True at a column, of so many."""
        return self._keep(name, "BOOL", [1, width], [at == column for at in range(width)])

    def is_single(self, tensor: str, width: int) -> str:
        """Whether a request has one row of so many columns."""
        size = self.add("Size", tensor)
        return self.add("Equal", size, self.whole(f"single_{self._added}", width))

    def replace_input(self, tensor: str, by: str) -> None:
        """Let the nodes of the champion read something else; those that were added go before them."""
        nodes = [*self._model.graph.node]
        added = nodes[len(nodes) - self._added :]
        rest = nodes[: len(nodes) - self._added]
        for node in rest:
            node.input[:] = [by if name == tensor else name for name in node.input]
        del self._model.graph.node[:]
        self._model.graph.node.extend([*added, *rest])

    def product(self) -> Any:  # noqa: ANN401 - an ONNX GraphProto
        """The body of a loop that multiplies its square by itself."""
        from onnx import TensorProto, helper

        square = [_SIDE, _SIDE]
        inputs = [("turn", TensorProto.INT64, []), ("goes_on", TensorProto.BOOL, []), ("a", TensorProto.FLOAT, square)]
        outputs = [("goes_on_too", TensorProto.BOOL, []), ("b", TensorProto.FLOAT, square)]
        nodes = [
            helper.make_node("Identity", ["goes_on"], ["goes_on_too"]),
            helper.make_node("MatMul", ["a", "a"], ["b"]),
        ]
        takes, gives = ([helper.make_tensor_value_info(*each) for each in side] for side in (inputs, outputs))
        return helper.make_graph(nodes, "product", takes, gives)

    def finish(self, output: str) -> bytes:
        """The artifact whose probabilities are those of a node."""
        from onnx import helper

        self._model.graph.node.append(helper.make_node("Identity", [output], [PROBABILITIES]))
        return bytes(self._model.SerializeToString(deterministic=True))

    def _keep(self, name: str, kind: str, shape: list[int], values: list[Any]) -> str:
        from onnx import TensorProto, helper

        named = f"{self._prefix}{name}"
        encoded: Any = [value.encode() if isinstance(value, str) else value for value in values]
        tensor = helper.make_tensor(named, getattr(TensorProto, kind), shape, encoded)
        self._model.graph.initializer.append(tensor)
        return named


def _free_prefix(graph: Any) -> str:  # noqa: ANN401 - an ONNX GraphProto
    """What no name of the graph begins with: the champion may have been a challenger that was made here."""
    names = {name for node in graph.node for name in node.output} | {tensor.name for tensor in graph.initializer}
    number = 0
    while any(name.startswith(f"simulated{number}_") for name in names):
        number += 1
    return f"simulated{number}_"
