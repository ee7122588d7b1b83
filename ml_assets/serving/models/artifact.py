"""A released version, ready to answer: its manifest, and its ONNX artifact in a session of ONNX Runtime."""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ml_assets.documents.vocabulary import familiarity, vocabulary
from ml_assets.errors import RegistryError, list_values
from ml_assets.spec.names import REVIEW
from ml_assets.storage.artifact_inputs import ArtifactInputs
from ml_assets.storage.manifest import MISSING, PROBABILITIES, Manifest
from ml_assets.storage.scorer import normal

Value = float | bool | str | None
# As the model was trained: what stands for a missing category, and running text without its spelling.
_WRITTEN: dict[str, Callable[[Any], str]] = {
    "text": lambda value: MISSING if value is None else value,
    "document": lambda value: normal(value or ""),
}


class Decision(NamedTuple):
    """The model's answer to a row.

    Args:
        score: P(label = 1), or of several classes the probability of the best one.
        decision: the band of the score, or the class, or `REVIEW`.
        predicted: of several classes, the best one.
        unseen: of running text, the share of its words that the training never saw.
    """

    score: float
    decision: str
    predicted: str | None = None
    unseen: float | None = None


class Artifact:
    """A loaded model: rows of feature values in, probabilities and decisions out.

    Args:
        manifest: of the release.
        onnx: the artifact, which is refused unless its SHA-256 is the released one.

    Raises:
        RegistryError: it is another file, or one that does not run.
    """

    def __init__(self, manifest: Manifest, onnx: bytes) -> None:
        who = f"{manifest.model} version {manifest.version}"
        if (digest := hashlib.sha256(onnx).hexdigest()) != manifest.sha256:
            raise RegistryError(
                f"{who}: the artifact's SHA-256 is {digest[:12]}…, not the released {manifest.sha256[:12]}…: restore it"
            )
        self.manifest = manifest
        self.names = tuple(column.name for column in manifest.inputs)
        self._classes = manifest.classes
        self._starts = [band.start for band in manifest.bands]
        self._bands = [band.name for band in manifest.bands]
        self._session = _session(onnx, who)
        inputs = ArtifactInputs.of_session(self._session)
        places = inputs.places
        if places.keys() != set(self.names):
            other = list_values(sorted(places.keys() ^ set(self.names)))
            raise RegistryError(f"{who}: the artifact's inputs are not the manifest's: {other}")
        numbers = [places[column.name] for column in manifest.inputs if column.kind == "number"]
        self._joined = inputs.joined
        if self._joined and numbers != [(self._joined, at) for at in range(inputs.widths[self._joined])]:
            raise RegistryError(f"{who}: the artifact's numbers are not in the manifest's order: run the loop again")
        self._numbers = [place.tensor for place in numbers]
        self._texts = [
            (places[column.name].tensor, column.kind) for column in manifest.inputs if column.kind != "number"
        ]
        self._known = _known(manifest, onnx)
        self.score([(None,) * len(self.names)])  # the first run of a session is slow; nobody is to wait for it

    def score(self, rows: Sequence[Sequence[Value]]) -> list[float]:
        """P(label = 1) of each row, or the largest of several; values are in the order of `names`, None is missing."""
        probabilities = self.probabilities(rows)
        scores: list[float] = (probabilities.max(axis=1) if self._classes else probabilities[:, 1]).tolist()
        return scores

    def answer(self, rows: Sequence[Sequence[Value]], run: Any = None) -> list[Decision]:  # noqa: ANN401 - onnxruntime has no types
        """Score and decision of each row; of several classes also the one that the score is the probability of.

        Args:
            rows: as of `score`.
            run: options of ONNX Runtime by which another thread may end the run; None: nobody does.
        """
        probabilities = self.probabilities(rows, run)
        if not self._classes:
            return [Decision(score, self.decide(score)) for score in probabilities[:, 1].tolist()]
        best, scores = probabilities.argmax(axis=1).tolist(), probabilities.max(axis=1).tolist()
        return [self._named(score, self._classes[nr], row) for score, nr, row in zip(scores, best, rows, strict=True)]

    def _named(self, score: float, name: str, row: Sequence[Value]) -> Decision:
        """A class, unless the model is not sure of it, or does not know the words that it read."""
        texts = {column: str(value) for column, value in zip(self.names, row, strict=True) if value is not None}
        words, limits = familiarity(texts, self._known), self.manifest
        sure = score >= limits.review_below and words.enough(limits.review_words, limits.review_unseen)
        return Decision(score, name if sure else REVIEW, name, words.unseen)

    def probabilities(self, rows: Sequence[Sequence[Value]], run: Any = None) -> Any:  # noqa: ANN401 - an array
        """The probability of each class of each row, [rows, classes]; arguments as of `answer`."""
        split, count = len(self._numbers), len(rows)
        # None becomes NaN; what does not fit a float32 was refused with the request.
        table = np.array([row[:split] for row in rows] if self._texts else rows, dtype=np.float32)
        feed: dict[str, Any] = {self._joined: table} if self._joined else self._apart(table)
        for i, (name, kind) in enumerate(self._texts, start=split):
            words = [_WRITTEN[kind](row[i]) for row in rows]
            feed[name] = np.array(words, dtype=object).reshape(count, 1)
        (probabilities,) = self._session.run([PROBABILITIES], feed, run)
        return probabilities

    def _apart(self, table: Any) -> dict[str, Any]:  # noqa: ANN401 - an array, [rows, numbers]
        """A tensor for each number, as artifacts of earlier releases have them."""
        columns = np.ascontiguousarray(table.T)[:, :, None]
        return dict(zip(self._numbers, columns))  # noqa: B905 - one for each, and it is the hot path

    def decide(self, score: float) -> str:
        """The band that a score falls into."""
        return self._bands[bisect_right(self._starts, score) - 1]


def _known(manifest: Manifest, onnx: bytes) -> dict[str, frozenset[str]]:
    """The words that a model of several classes knows, by column of running text."""
    columns = [column.name for column in manifest.inputs if column.kind == "document"]
    return vocabulary(onnx, columns) if columns and manifest.classes else {}


def _session(onnx: bytes, who: str) -> Any:  # noqa: ANN401 - onnxruntime has no types
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # as it was evaluated: equal digits, and fastest
    options.log_severity_level = 4  # what matters is raised
    try:
        return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes derive from nothing else
        raise RegistryError(f"{who}: ONNX Runtime cannot load the artifact: {error}") from error
