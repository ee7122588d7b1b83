"""A server whose route splits customers among versions, one of which fails or loops where it is told to."""

import time
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from ml_assets.decisions.assignment import unit_point
from ml_assets.decisions.route import CHALLENGER, CHAMPION, Route, Variant
from ml_assets.serving.models.releases import ReleasedRoute, Releases, Routes, VariantRelease
from ml_assets_tests.serving import released
from ml_assets_tests.serving.released import ENTITY, MODEL
from ml_assets_tests.serving.served import ROW, Served

SALT, STAGE = "rollout 7", "7-1/1"
FAILS, LOOPS = 100.0, -2_000_000.0
"""Values of `n` at which a fragile version raises, and goes on for seconds."""


def route(share: float = 0.5, **changes: Any) -> Route:
    """A canary of version 2, which is measured."""
    variants = (Variant(CHAMPION, 1, 1 - share), Variant(CHALLENGER, 2, share))
    return Route(MODEL, SALT, variants, **{"experiment": STAGE, **changes})


def customers(variant: str, count: int, share: float = 0.5) -> list[str]:
    """Customers who are assigned to a variant."""
    names = (f"c{number}" for number in range(10_000))
    mine = [name for name in names if (unit_point(SALT, name) < share) == (variant == CHALLENGER)]
    return mine[:count]


def row(customer: str, **values: Any) -> dict[str, Any]:
    """A row of a customer, with features."""
    return {**ROW, ENTITY: customer, **values}


@cache
def fragile(shift: float = 0.0) -> bytes:
    """The model of `released.onnx`, but it raises from `n` = 100 on, and takes -n steps where `n` is below 0."""
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load_from_string(released.onnx(shift))
    integer, number, truth = TensorProto.INT64, TensorProto.FLOAT, TensorProto.BOOL
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["on_out"]), helper.make_node("Sin", ["sum"], ["sum_out"])],
        "step",
        [helper.make_tensor_value_info("step", integer, []), helper.make_tensor_value_info("on", truth, []),
         helper.make_tensor_value_info("sum", number, [None])],
        [helper.make_tensor_value_info("on_out", truth, []), helper.make_tensor_value_info("sum_out", number, [None])],
    )  # fmt: skip
    nodes = [
        helper.make_node("ReduceMax", ["number1"], ["most"], keepdims=0),
        helper.make_node("Sub", ["most", "99"], ["beyond"]),
        helper.make_node("Relu", ["beyond"], ["index"]),
        helper.make_node("Cast", ["index"], ["place"], to=integer),
        helper.make_node("Gather", ["zeros", "place"], ["nothing"]),  # there is only one place
        helper.make_node("ReduceMin", ["number1"], ["least"], keepdims=0),
        helper.make_node("Neg", ["least"], ["less"]),
        helper.make_node("Relu", ["less"], ["trip"]),
        helper.make_node("Cast", ["trip"], ["steps"], to=integer),
        helper.make_node("Loop", ["steps", "true", "zeros"], ["looped"], body=body),
        helper.make_node("Add", ["probabilities_", "nothing"], ["one_"]),
        helper.make_node("Add", ["one_", "looped"], ["probabilities"]),
    ]
    last = model.graph.node[-1]
    last.output[0] = "probabilities_"
    model.graph.node.extend(nodes)
    model.graph.initializer.extend([
        helper.make_tensor("99", number, [], [99.0]), helper.make_tensor("zeros", number, [1], [0.0]),
        helper.make_tensor("true", truth, [], [True]),
    ])  # fmt: skip
    return bytes(model.SerializeToString())


def release(data: Path, version: int, onnx: bytes, **changes: Any) -> VariantRelease:
    """A version on the disk of a server."""
    manifest = replace(released.manifest(version), sha256=sha256(onnx).hexdigest(), **changes)
    return VariantRelease(Releases.at(data).save_release(manifest.to_json(), onnx), version, 0.0)


def publish(data: Path, followed: Route, *releases: VariantRelease) -> None:
    """What the follower writes for the workers: a route with its releases, in the order of its variants."""
    names = [variant.name for variant in followed.variants]
    released_route = ReleasedRoute(followed, dict(zip(names, releases, strict=False)))
    Releases.at(data).save_routes(Routes({MODEL: released_route}, time.time()))


def served_split(data: Path, followed: Route | None = None, challenger: bytes | None = None, **changes: Any) -> Served:
    """A server whose champion adds nothing and whose challenger adds 2, or is what is given."""
    releases = [release(data, 1, fragile()), release(data, 2, challenger or fragile(2.0), **changes)]
    publish(data, followed or route(), *releases)
    return Served(data)
