"""An artifact answers alike whether its numbers are one tensor or one each, as in earlier releases."""

import json
from dataclasses import replace
from hashlib import sha256

import onnx
import pytest

from ml_assets.errors import RegistryError
from ml_assets.serving.models.artifact import Artifact
from ml_assets.storage.artifact_inputs import FEATURES
from ml_assets.training.export import _join_numbers
from ml_assets_tests.serving import released


def joined(features: list[str]) -> bytes:
    """The model of `released.onnx` with one tensor of numbers, in which the features stand in this order."""
    model = onnx.load_from_string(released.onnx())
    _join_numbers(model.graph, 2)
    entry = model.metadata_props.add()
    entry.key, entry.value = FEATURES, json.dumps(features)
    return bytes(model.SerializeToString())


def loaded(content: bytes) -> Artifact:
    return Artifact(replace(released.manifest(), sha256=sha256(content).hexdigest()), content)


def test_both_shapes_answer_to_the_bit() -> None:
    rows = [(0.5, 1, "pro"), (None, 2.5, None), (True, -0.1, "basic")]
    old, new = loaded(released.onnx()), loaded(joined([column.name for column in released.INPUTS]))
    for some in (rows, rows[:1]):
        assert new.score(some) == old.score(some)
    assert new.answer(rows) == old.answer(rows)


def test_numbers_in_another_order_are_refused() -> None:
    with pytest.raises(RegistryError, match="not in the manifest's order"):
        loaded(joined(["n", "total spend", "plan"]))
