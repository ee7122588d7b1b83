"""The reasons of answers: of a release that answers, or of any that is on the disk of the server."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from ml_assets.reasons.contributions import (
    AnswerReason,
    Contributions,
    Explainer,
    Parts,
    Target,
    Value,
    explain,
    target_of_band,
)
from ml_assets.reasons.explainer import read_explainer
from ml_assets.reasons.text_terms import TextTerms
from ml_assets.serving.models.artifact import Artifact
from ml_assets.serving.models.releases import Releases
from ml_assets.storage.manifest import Manifest

_HELD = 4  # releases whose reasons are in memory: tables take up to 32 MB each


class ExplainedAnswer(NamedTuple):
    """The reasons of an answer, the score without any of them, and how they were found."""

    reasons: list[AnswerReason]
    base: float
    method: str


class AnswerToExplain(NamedTuple):
    """An answer of which reasons are asked.

    Args:
        prediction_id: of the answer; what is sampled depends on it.
        values: what the model saw, in the order of its inputs.
        decision: the answer's.
        predicted: of several classes, the one that is explained.
    """

    prediction_id: str
    values: Sequence[Value]
    decision: str | None
    predicted: str | None


class ReleaseExplainer:
    """What explains the answers of one release.

    Args:
        manifest: of the release.
        explainer: of its artifact.
    """

    def __init__(self, manifest: Manifest, explainer: Explainer) -> None:
        self._classes, self._bands = manifest.classes, tuple(band.name for band in manifest.bands)
        self._texts: Mapping[str, str] = manifest.reasons.texts if manifest.reasons else {}
        self._explainer = explainer
        self.is_quick = explainer.method == "exact" and not any(each.kind == "document" for each in manifest.inputs)
        """Whether an answer is explained in microseconds."""

    def explain(self, answer: AnswerToExplain, most: int) -> ExplainedAnswer:
        """The reasons of an answer, at most so many: the same for the same answer, to the bit."""
        if answer.predicted is not None:
            target = Target(self._classes.index(answer.predicted))
        else:
            target = target_of_band(answer.decision, self._bands)
        found = self._explainer.contributions(answer.values, answer.prediction_id)
        return ExplainedAnswer(*explain(found, target, most, self._texts), self._explainer.method)


class Explainers:
    """The explainers of releases, each read when it is first asked for.

    Args:
        releases: on the disk of the server.
    """

    def __init__(self, releases: Releases) -> None:
        self._releases = releases
        self._held: dict[str, ReleaseExplainer] = {}

    def quick(self, release: str) -> ReleaseExplainer | None:
        """The explainer of a release, if it is in memory and takes microseconds."""
        held = self._held.get(release)
        return held if held is not None and held.is_quick else None

    def of(self, release: str) -> ReleaseExplainer | None:
        """The explainer of a release by its name; None: it was released without reasons.

        Raises:
            RegistryError: its files are missing, or not what was released.
            ReasonsError: they cannot be read.
        """
        held = self._held.pop(release, None) or self._read(release)
        if held is not None:
            self._held[release] = held  # last: the one that was asked for longest ago goes first
            while len(self._held) > _HELD:
                self._held.pop(next(iter(self._held)), None)
        return held

    def _read(self, release: str) -> ReleaseExplainer | None:
        manifest = self._releases.manifest(release)
        content = self._releases.reasons(manifest)
        if content is None:
            return ReleaseExplainer(manifest, _EarlierTerms(manifest)) if manifest.terms else None

        @cache
        def artifact() -> Artifact:
            return Artifact(manifest, self._releases.artifact(manifest))

        explainer = read_explainer(content, lambda rows: artifact().probabilities(rows))
        return ReleaseExplainer(manifest, explainer)


class _EarlierTerms(Explainer):
    """The terms that speak most for each class, as manifests of earlier releases have them."""

    method = "terms"

    def __init__(self, manifest: Manifest) -> None:
        self.features = tuple(column.name for column in manifest.inputs)
        self._texts = [at for at, column in enumerate(manifest.inputs) if column.kind == "document"]
        words = list(dict.fromkeys(term for terms in manifest.terms.values() for term in terms))
        lengths = tuple(sorted({term.count(" ") + 1 for term in words}))
        self._terms = TextTerms(
            self.features[self._texts[0]], {term: at for at, term in enumerate(words)}, lengths,
            dampened=True, unit=False,
        )  # fmt: skip
        of_classes = [manifest.terms.get(name, {}) for name in manifest.classes]
        self._weights = np.array([[terms.get(term, 0.0) for terms in of_classes] for term in words])

    def contributions(self, row: Sequence[Value], seed: str) -> Contributions:  # noqa: ARG002 - nothing is sampled
        """See `Explainer`."""
        found = self._terms.weigh(" ".join(str(row[at] or "") for at in self._texts))
        parts = np.array(found.weights)[:, None] * self._weights[found.places]
        return Contributions([self._terms.feature] * len(found.terms), found.terms, parts, np.zeros(parts.shape[1]))

    def to_parts(self) -> Parts:
        """Nothing is kept of them but the manifest."""
        return {}, {}
