"""What MLflow loads to score rows with a version. It is copied into each model, so it imports nothing of this package.

`mlflow.pyfunc.load_model("models:/churn@champion").predict(frame)` and `mlflow models serve` end up here. MLflow's own
ONNX flavour would hand over columns of rank 1 as they are, and knows neither missing texts nor running text.
"""

import json
import os
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

DECLARED = "scorer.json"
"""The file beside `model.onnx` that says what its inputs are."""

_ROWS = 100_000  # of one call; a row of text is a row of its whole vocabulary
_WORD = re.compile(r"[a-z]+")


def normal(text: str) -> str:
    """The words of a text as the classifier sees them, in training and in serving: a-z and single blanks only.

    Unicode is normalised (NFKC: ligatures and full-width letters become plain ones) and lower-cased; numbers and
    punctuation separate words. Lower-casing here, and not in the model, makes scikit-learn and ONNX agree.
    """
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return " ".join(_WORD.findall(plain.lower()))


def declare(inputs: Mapping[str, str], classes: Sequence[str], output: str, missing: str) -> bytes:
    """The content of `DECLARED`.

    Args:
        inputs: feature → `number`, `text` or `document`, in the order of the inputs of the artifact.
        classes: of the probabilities, where they are several.
        output: the artifact's output that holds the probabilities.
        missing: what stands for a missing text.
    """
    plain = {"inputs": list(inputs.items()), "classes": list(classes), "output": output, "missing": missing}
    return json.dumps(plain, indent=1).encode()


class Scorer:
    """A version, ready to score.

    Args:
        folder: of the MLflow model.
    """

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        declared = json.loads((folder / DECLARED).read_text(encoding="utf-8"))
        self._inputs = [(str(name), str(kind)) for name, kind in declared["inputs"]]
        self._classes, self._output, self._missing = declared["classes"], declared["output"], declared["missing"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # as it was evaluated: equal digits
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        # By place: an artifact may name its inputs as it likes. One of k columns holds the next k features.
        self._tensors = [(tensor.name, _width(tensor.shape)) for tensor in self._session.get_inputs()]

    def predict(self, data: "pd.DataFrame", params: object = None) -> "pd.DataFrame":  # noqa: ARG002 - MLflow's interface
        """Score rows of features; further columns are ignored, and what is missing may be None, NaN or `pd.NA`.

        Args:
            data: a column for each feature: numbers or booleans, or text.
            params: of MLflow's interface; there are none.

        Returns:
            With the index of `data`: `score`, P(label = 1); of several classes the probability of the most probable
            one, and `predicted`, its name.

        Raises:
            ValueError: a column is absent, or holds what is neither number nor text where that is wanted.
        """
        import numpy as np
        import pandas as pd

        parts = [self._probabilities(data.iloc[start : start + _ROWS]) for start in range(0, len(data), _ROWS)]
        p = np.concatenate(parts) if parts else np.empty((0, max(2, len(self._classes))))
        if not self._classes:
            return pd.DataFrame({"score": p[:, 1].astype(np.float64)}, index=data.index)
        names = np.array(self._classes, dtype=object)[p.argmax(axis=1)]
        return pd.DataFrame({"score": p.max(axis=1).astype(np.float64), "predicted": names}, index=data.index)

    def _probabilities(self, data: "pd.DataFrame") -> "NDArray[np.float32]":
        absent = [name for name, _ in self._inputs if name not in data.columns]
        if absent:
            raise ValueError(f"the rows have no column {', '.join(map(repr, absent))}: the model was trained with it")
        import numpy as np

        columns = iter([_CONVERTED[kind](data[name], self._missing) for name, kind in self._inputs])
        feed = {tensor: np.stack([next(columns) for _ in range(width)], axis=1) for tensor, width in self._tensors}
        scores: NDArray[np.float32] = self._session.run([self._output], feed)[0]
        return scores


def _width(shape: Sequence[Any]) -> int:
    return shape[1] if len(shape) > 1 and isinstance(shape[1], int) else 1


def _numbers(column: "pd.Series[Any]", _: str) -> "NDArray[Any]":
    import numpy as np

    values = column.astype(object).where(column.notna(), np.nan)
    wrong = [value for value in values if isinstance(value, str | bytes)]
    if wrong:
        raise ValueError(f"column {column.name!r} holds {wrong[0]!r}, and the model wants numbers: convert it first")
    try:
        with np.errstate(over="ignore"):  # what is no float32 is infinite, as in the training set
            return values.to_numpy(dtype=np.float64).astype(np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {column.name!r}: the model wants numbers ({error}): convert it first") from error


def _texts(column: "pd.Series[Any]", missing: str) -> "NDArray[Any]":
    values = column.astype(object).where(column.notna(), None)
    wrong = [value for value in values if not (value is None or isinstance(value, str))]
    if wrong:
        raise ValueError(f"column {column.name!r} holds {wrong[0]!r}, and the model wants text: convert it first")
    return values.map(lambda value: missing if value is None else value).to_numpy(dtype=object)


def _documents(column: "pd.Series[Any]", _: str) -> "NDArray[Any]":
    import numpy as np

    return np.array([normal(text) for text in _texts(column, "")], dtype=object)


_CONVERTED: Mapping[str, Callable[["pd.Series[Any]", str], "NDArray[Any]"]] = {
    "number": _numbers,
    "text": _texts,
    "document": _documents,
}


def _load_pyfunc(path: str) -> Scorer:
    """MLflow's name for what loads a model."""
    return Scorer(Path(path))
