"""Explanations of a version: what explains its answers, whether that can be believed, and what it leans on.

Made once of a version's artifact and training set, and kept with its run; another background makes them anew.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import msgspec
import numpy as np

from ml_assets.errors import TrainingError
from ml_assets.reasons.contributions import Explainer, Method, Target, Value, target_of_band
from ml_assets.reasons.explainer import build_explainer, write_explainer
from ml_assets.reasons.fidelity import Fidelity, FidelityRows, measure_fidelity
from ml_assets.reasons.sampled import Predict, log_odds
from ml_assets.reasons.summary import ReasonShare, summarise
from ml_assets.storage.lake import Lake
from ml_assets.storage.reasons_file import keep_reasons
from ml_assets.storage.registry import Registry, Version
from ml_assets.training import dataset
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.evaluation import Evaluation
from ml_assets.training.frame import FeatureColumns, Frame, frame
from ml_assets.training.record import TrainingRecord, record

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

EXPLANATIONS = "evaluation/explanations.json"

_FORMAT = 1  # raised when the same artifact and background give other explanations
_JUDGED = 400  # test rows that are looked at
_SAMPLED = 40  # the same where each takes milliseconds
_EVERY = "all rows"


@dataclass(frozen=True)
class VersionExplanations:
    """The explanations of a version.

    Args:
        asked: a fingerprint of what they depend on.
        sha256: of the file that explains answers.
        kilobytes: of that file.
        method: exact, or sampled.
        players: what a reason may name.
        fidelity: whether the reasons can be believed.
        shares: group → its value → player → what it has in the answers.
    """

    asked: str
    sha256: str
    kilobytes: float
    method: Method
    players: tuple[str, ...]
    fidelity: Fidelity
    shares: dict[str, dict[str, dict[str, ReasonShare]]]

    def table(self) -> list[dict[str, Any]]:
        """For all rows, then by decision and group: the features that contribute most."""
        return [
            {"group": group, "value": value, "feature": name, "mean": share.mean, "first": share.first}
            for group, values in self.shares.items()
            for value, shares in values.items()
            for name, share in list(shares.items())[: _SHOWN if group == _EVERY else 1]
        ]

    def metadata(self) -> dict[str, Any]:
        """The numbers that a person looks at first."""
        found = self.fidelity
        return {
            "reasons": self.method, "reasons_kilobytes": self.kilobytes, "reasons_additivity": found.additivity,
            "reasons_agreement": found.agreement, "reasons_effect": found.effect,
            "reasons_random_effect": found.random_effect,
        }  # fmt: skip

    def to_json(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """The explanations that `to_json` wrote.

        Raises:
            TrainingError: the content is something else.
        """
        try:
            return msgspec.json.decode(content, type=cls)
        except msgspec.MsgspecError as error:
            raise TrainingError(f"{EXPLANATIONS} of a version cannot be read ({error}): run the loop again") from error


_SHOWN = 10


def read_explanations(registry: Registry, version: Version) -> VersionExplanations | None:
    """The explanations that were kept with a version; None where there are none."""
    content = registry.read(version.run_id, EXPLANATIONS)
    return None if content is None else VersionExplanations.from_json(content)


def explain_version(
    lake: Lake, registry: Registry, folder: ModelDefinition, version: Version, evaluation: Evaluation
) -> VersionExplanations:
    """The explanations of a version: made now, or read where the same were made before.

    Args:
        lake: where its training set is.
        registry: where the version is; they are kept there.
        folder: the model, with how answers are explained.
        version: that was evaluated.
        evaluation: of it, for the bands of its decisions.
    """
    kept = record(registry, version)
    bands = dict(kept.task.bands(folder.spec.serve.bands, evaluation))
    asked = _asked(folder, version, bands)
    if (found := read_explanations(registry, version)) is not None and found.asked == asked:
        return found
    rows = dataset.read(lake, kept.table, kept.as_of, kept.version)
    data = frame(rows, kept.columns, kept.entity, dataset.ROW, kept.classes)
    made = _Maker(folder, kept, registry.onnx(version), _players(lake, folder, kept), bands)
    explainer, fidelity, shares = made.explanations(data)
    content = write_explainer(explainer)
    digest = keep_reasons(registry, version, content)
    players = tuple(dict.fromkeys(made.players.values()))
    done = VersionExplanations(asked, digest, len(content) / 1024, explainer.method, players, fidelity, shares)
    registry.write(version.run_id, {EXPLANATIONS: done.to_json()})
    return done


def _asked(folder: ModelDefinition, version: Version, bands: Mapping[str, float]) -> str:
    spec = folder.spec
    parts = (
        _FORMAT, version.tags["sha256"], spec.reasons.background, spec.reasons.by, spec.seed, spec.slices,
        sorted(bands.items()),
    )  # fmt: skip
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def _players(lake: Lake, folder: ModelDefinition, kept: TrainingRecord) -> dict[str, str]:
    """Feature → what a reason names."""
    if folder.spec.reasons.by == "feature":
        return {name: name for name in kept.columns.all}
    owners = {name: view.table.rpartition("/")[2] for view in kept.features for name in lake.schema(view.kept).names}
    return {name: owners[name] for name in kept.columns.all}


def feature_rows(X: "pd.DataFrame") -> list[list[Value]]:  # noqa: N803 - scikit-learn's name
    """Rows as a server sees them: a value for each feature, None for a missing one."""
    columns = [X[name].astype(object).where(X[name].notna(), None).tolist() for name in X.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def row_predictor(onnx: bytes, columns: FeatureColumns) -> Predict:
    """The probabilities of rows by an artifact."""
    import pandas as pd

    from ml_assets.training import export  # onnxruntime

    session = export.session(onnx)

    def predict(rows: Sequence[Sequence[Value]]) -> "NDArray[np.float64]":
        table = pd.DataFrame([tuple(row) for row in rows], columns=columns.all)
        kinds = dict.fromkeys(columns.numeric, "float32") | dict.fromkeys((*columns.categorical, *columns.text), "str")
        return export.probabilities(session, table.astype(kinds))

    return predict


class _Maker:
    """What makes the explanations of one artifact."""

    def __init__(
        self,
        folder: ModelDefinition,
        kept: TrainingRecord,
        onnx: bytes,
        players: Mapping[str, str],
        bands: Mapping[str, float],
    ) -> None:
        self._spec, self._kept, self._onnx, self._bands = folder.spec, kept, onnx, bands
        self.players = players
        self._predict = row_predictor(onnx, kept.columns)
        self._texts = [kept.columns.all.index(name) for name in kept.columns.text]

    def explanations(self, data: Frame) -> tuple[Explainer, Fidelity, dict[str, dict[str, dict[str, ReasonShare]]]]:
        """The explainer, its fidelity, and what it says of the test rows."""
        rng = np.random.default_rng(self._spec.seed)
        background = self._background(data.X, rng)
        explainer = self._explainer(background)
        most = _JUDGED if explainer.method == "exact" else _SAMPLED
        tested = data.at(self._kept.split.test)
        places = np.sort(rng.permutation(len(tested.y))[:most])
        chosen = tested.X.iloc[places]
        rows = feature_rows(chosen)
        decisions, targets = self._decisions(rows)
        halves = (self._explainer(background[::2]), self._explainer(background[1::2]))
        where = {
            player: [at for at, name in enumerate(self._kept.columns.all) if self.players[name] == player]
            for player in self.players.values()
        }
        given = FidelityRows(rows, targets, background, where, frozenset(self._texts))
        score = partial(_score, self._predict)
        fidelity = measure_fidelity(explainer, halves, given, score, self._spec.seed)
        found = [explainer.contributions(row, str(at)) for at, row in enumerate(rows)]
        slices = {name: chosen[name].astype(str).tolist() for name in self._spec.slices if name in chosen}
        groups = {_EVERY: ["all"] * len(rows), "decision": decisions, **slices}
        return explainer, fidelity, summarise(found, targets, groups)

    def _background(self, X: "pd.DataFrame", rng: np.random.Generator) -> list[list[Value]]:  # noqa: N803 - as above
        """Rows of the training set; texts are somebody's own, and an empty one says as much."""
        drawn = np.sort(rng.permutation(len(X))[: self._spec.reasons.background])
        rows = feature_rows(X.iloc[drawn])
        for row in rows:
            for at in self._texts:
                row[at] = ""
        return rows

    def _explainer(self, background: Sequence[Sequence[Value]]) -> Explainer:
        features = self._kept.columns.all
        return build_explainer(self._onnx, features, background, self.players, predict=self._predict)

    def _decisions(self, rows: Sequence[Sequence[Value]]) -> tuple[list[str], list[Target]]:
        p = self._predict(rows)
        if self._kept.task.names_classes:
            numbers = p.argmax(axis=1).tolist()
            return [self._kept.classes[number] for number in numbers], [Target(number) for number in numbers]
        names, starts = list(self._bands), np.array(list(self._bands.values()))
        decisions = [names[at] for at in (np.searchsorted(starts, p[:, 1], side="right") - 1).tolist()]
        return decisions, [target_of_band(decision, names) for decision in decisions]


def _score(predict: Predict, rows: Sequence[Sequence[Value]]) -> "NDArray[np.float64]":
    return log_odds(predict(rows))
