"""Rows as pandas holds them are scored as the model means them; what is no number and no text is refused by name."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest

from ml_assets.storage import scorer
from ml_assets.storage.manifest import MISSING, PROBABILITIES
from ml_assets.storage.scorer import Scorer
from ml_assets_tests.serving.released import INPUTS, probability
from ml_assets_tests.serving.released import onnx as small


def made(folder: Path, artifact: bytes, classes: tuple[str, ...] = ()) -> Scorer:
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx").write_bytes(artifact)
    inputs = {each.name: each.kind for each in INPUTS}
    (folder / scorer.DECLARED).write_bytes(scorer.declare(inputs, classes, PROBABILITIES, MISSING))
    return Scorer(folder)


def renamed(artifact: bytes) -> bytes:
    """The same model, its inputs called i0, i1 and so on."""
    model = onnx.load_from_string(artifact)
    names = {each.name: f"i{nr}" for nr, each in enumerate(model.graph.input)}
    for each in model.graph.input:
        each.name = names[each.name]
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    "n",
    [
        pd.Series([1, 2, 3]),
        pd.Series([1, 2, 3], dtype="Int64"),
        pd.Series([1, 2, 3], dtype="uint8"),
        pd.Series([1.0, 2.0, 3.0], dtype="float32"),
        pd.Series([Decimal(1), 2, np.int64(3)], dtype=object),
    ],
    ids=lambda column: str(column.dtype),
)
def test_numbers_of_every_kind_are_numbers(tmp_path: Path, n: "pd.Series[Any]") -> None:
    spend = pd.Series([0.5, -0.5, 0.25])
    rows = pd.DataFrame({"customer": ["a", "b", "c"], "n": n, "plan": ["x", "y", "z"], "total spend": spend})
    found = made(tmp_path / "m", small()).predict(rows)
    assert found["score"].tolist() == pytest.approx([probability(0.5, 1), probability(-0.5, 2), probability(0.25, 3)])


@pytest.mark.parametrize("hole", [None, np.nan, pd.NA])
def test_what_is_missing_is_missing_however_it_is_written(tmp_path: Path, hole: Any) -> None:
    rows = pd.DataFrame({
        "n": pd.Series([hole, True], dtype=object), "plan": pd.Series([hole, "x"], dtype=object),
        "total spend": pd.Series([1.0, hole], dtype=object),
    }).set_index(pd.Index(["a", "b"]))  # fmt: skip
    found = made(tmp_path / "m", small()).predict(rows)
    assert found["score"].to_dict() == pytest.approx({"a": probability(1, 0), "b": probability(0, 1)})


def test_an_artifact_may_name_its_inputs_as_it_likes(tmp_path: Path) -> None:
    rows = pd.DataFrame({"total spend": [1.0], "n": [2], "plan": [None]})
    plain, other = made(tmp_path / "a", small()), made(tmp_path / "b", renamed(small()))
    assert other.predict(rows).equals(plain.predict(rows))


def test_of_several_classes_the_most_probable_is_named(tmp_path: Path) -> None:
    rows = pd.DataFrame({"total spend": [3.0, -3.0], "n": [0, 0], "plan": ["x", "x"]})
    found = made(tmp_path / "m", small(), ("stays", "goes")).predict(rows)
    assert found["predicted"].tolist() == ["goes", "stays"]
    assert found["score"].tolist() == pytest.approx([probability(3, 0), probability(3, 0)])
    assert len(made(tmp_path / "m", small(), ("stays", "goes")).predict(rows.iloc[:0])) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n": ["many"]}, "column 'n' holds 'many', and the model wants numbers"),
        ({"n": [object()]}, "column 'n': the model wants numbers"),
        ({"plan": [7]}, "column 'plan' holds 7, and the model wants text"),
    ],
)
def test_what_is_neither_number_nor_text_is_refused_by_name(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    rows = pd.DataFrame({"total spend": [1.0], "n": [2], "plan": ["x"]} | change)
    with pytest.raises(ValueError, match=said):
        made(tmp_path / "m", small()).predict(rows)


def test_a_column_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no column 'n', 'plan'"):
        made(tmp_path / "m", small()).predict(pd.DataFrame({"total spend": [1.0]}))


def test_a_document_is_read_as_in_training() -> None:
    column = pd.Series(["The ﬁrst LEASE, 1", None], dtype=object)
    assert scorer._documents(column, "").tolist() == ["the first lease", ""]
