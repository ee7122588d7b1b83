"""What explains the answers of an artifact: made at its training, kept beside it as `reasons.npz`, read by servers."""

import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from ml_assets.errors import MlAssetsError
from ml_assets.reasons.contributions import Explainer, Value
from ml_assets.reasons.graph import LinearModel, TreeModel, read_graph
from ml_assets.reasons.leaf_tables import LARGEST, LeafTables, build_tables
from ml_assets.reasons.linear import LinearTerms, build_linear
from ml_assets.reasons.sampled import Predict, SampledOrders

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KINDS = {"trees": LeafTables, "linear": LinearTerms, "sampled": SampledOrders}
_HEADER = "header"


class ReasonsError(MlAssetsError):
    """A file of reasons that cannot be read."""


def build_explainer(
    onnx: bytes,
    features: Sequence[str],
    background: Sequence[Sequence[Value]],
    players: Mapping[str, str],
    *,
    predict: Predict,
    largest: int = LARGEST,
) -> Explainer:
    """What explains an artifact: exactly where its answer is a known sum, else by sampling.

    Args:
        onnx: the artifact.
        features: of a row, in its order.
        background: rows that scores are compared with, at least one.
        players: feature → its name in the reasons: itself, or its view.
        predict: the artifact's probabilities, for what has to be sampled.
        largest: bytes that tables of leaves may take.
    """
    model = read_graph(onnx)
    made: Explainer | None = None
    if isinstance(model, TreeModel):
        made = build_tables(model, features, background, players, largest=largest)
    elif isinstance(model, LinearModel):
        made = build_linear(model, features, background, players)
    return made or SampledOrders(features, players, background, predict)


def write_explainer(explainer: Explainer) -> bytes:
    """An explainer as a file; the same one gives the same bytes."""
    plain, arrays = explainer.to_parts()
    kind = next(name for name, each in _KINDS.items() if isinstance(explainer, each))
    header = np.frombuffer(json.dumps({"kind": kind, **plain}).encode(), np.uint8)
    file = io.BytesIO()
    everything: dict[str, Any] = {_HEADER: header, **arrays}
    np.savez_compressed(file, **everything)
    return file.getvalue()


def read_explainer(content: bytes, predict: Predict) -> Explainer:
    """The explainer that `write_explainer` wrote.

    Args:
        content: of the file; nothing in it is run.
        predict: the probabilities of the artifact that it is of.

    Raises:
        ReasonsError: it is something else.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays: dict[str, NDArray[Any]] = {name: file[name] for name in file.files}
        plain = json.loads(arrays.pop(_HEADER).tobytes())
        kind = plain.pop("kind")
        if kind == "sampled":
            return SampledOrders.from_parts(plain, predict)
        return (LeafTables if kind == "trees" else LinearTerms).from_parts(plain, arrays)
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise ReasonsError(f"these are no reasons of a release ({error}): run the loop again") from error
