"""From a training set to a registered version: search, fit, export, refit, and everything that traces it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, Any, Protocol

from ml_assets.errors import TrainingError
from ml_assets.storage.artifacts import ModelPackage
from ml_assets.storage.lake import Lake
from ml_assets.storage.manifest import MISSING, PROBABILITIES
from ml_assets.storage.registry import Registry, Run, Version
from ml_assets.storage.tables import as_of_key
from ml_assets.training import dataset
from ml_assets.training.changes import Parts, changes, from_tag, parts
from ml_assets.training.definition import ModelDefinition, require_features
from ml_assets.training.frame import FeatureColumns, Frame, columns, frame
from ml_assets.training.record import EVALUATION, RECORD, TrainingRecord
from ml_assets.training.split import Split, validation

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

_LIBRARIES = ("scikit-learn", "skl2onnx", "numpy", "optuna")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """The result of a training step: the version for this recipe, and whether it was trained now or stood already."""

    version: Version
    trained: bool
    reason: str

    def metadata(self) -> dict[str, Any]:
        """The numbers that a person looks at first."""
        return {"trained": self.trained, "reason": self.reason, "run_id": self.version.run_id}


def recipe(folder: ModelDefinition, fingerprint: int) -> str:
    """The same text for the same rows, declaration and libraries: what was trained once need not be again."""
    libraries = [*_libraries().items()]
    return hashlib.sha256(repr((folder.spec.trains_on, fingerprint, libraries)).encode()).hexdigest()[:24]


def _libraries() -> dict[str, str]:
    return {name: installed(name) for name in _LIBRARIES}


def declaration(folder: ModelDefinition) -> str:
    """The same text for the same declaration and queries, whatever the rows are."""
    views = [folder.population, folder.labels, *(item.view for item in folder.features)]
    ttls = [item.ttl.total_seconds() for item in folder.features]
    parts = (folder.spec.trains_on, [view.recipe for view in views], ttls)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def candidate(lake: Lake, registry: Registry, folder: ModelDefinition, as_of: date) -> Version:
    """The version that was trained for the training set of `as_of`.

    Args:
        lake: where the training set is.
        registry: where versions are.
        folder: the model.
        as_of: `T`.

    Raises:
        TrainingError: there is no training set, or no version for its rows and the declaration of today.
    """
    fingerprint = lake.record(dataset.table(folder), as_of_key(as_of))
    version = None if fingerprint is None else registry.find(folder.name, recipe(folder, fingerprint))
    if version is None:
        raise TrainingError(f"{folder.name} has no model for {as_of}: materialize {folder.name}/model first")
    return version


def train(
    lake: Lake,
    registry: Registry,
    folder: ModelDefinition,
    built: dataset.TrainingSet,
    *,
    tags: Mapping[str, str],
    files: Mapping[str, bytes] | None = None,
    say: Say = lambda _: None,
) -> Trained:
    """The version for a training set: trained now, or found where the same recipe was trained before.

    Args:
        lake: where the training set is.
        registry: where versions are.
        folder: the model.
        built: the training set.
        tags: further tags of the run (git commit, Dagster run).
        files: further files of the run (the lock file).
        say: told what is being done.
    """
    identity = recipe(folder, built.fingerprint)
    with lake.lock(folder.name):
        if version := registry.find(folder.name, identity):
            return Trained(version, False, f"rows and recipe are those of version {version.number}")
        champion = registry.champion(folder.name)
        declared, made_of = declaration(folder), parts(folder, built, _libraries())
        reason = _why(registry, champion, declared, made_of) if champion else "there is no model yet"
        described = {"as_of": str(built.as_of), "recipe": identity, "reason_to_train": reason, **tags}
        described |= {"declaration": declared, "parts": json.dumps(made_of)}
        with registry.run(folder.name, str(built.as_of), described) as run:
            version = _fit_and_register(lake, folder, built, run, files or {}, say)
    return Trained(version, True, reason)


def _why(registry: Registry, champion: Version, declared: str, made_of: Parts) -> str:
    before = from_tag(champion.tags.get("parts"))
    differences = ", ".join(changes(before, made_of)) if before else ""
    changed = f"changed since version {champion.number}: {differences or 'rows or recipe'}"
    if champion.tags.get("declaration") == declared:
        return changed
    older = [item.number for item in registry.versions(champion.model) if item.tags.get("declaration") == declared]
    return f"{changed}; the declaration is that of version {older[-1]}" if older else changed


class Trials(Protocol):
    """A receiver of the trials of a search: a run of the registry, or nobody."""

    def trial(self, number: int, parameters: Mapping[str, object], value: float, metric: str) -> None:
        """One trial of a search.

        Args:
            number: from 0.
            parameters: that were tried.
            value: what they reached.
            metric: the name of the value.
        """


@dataclass(frozen=True)
class Fitted:
    """A model before anybody registers it.

    Args:
        columns: its inputs.
        parameters: of the estimator, searched ones included.
        evaluation: the artifact (ONNX) that was fitted on the training dates only.
        shipped: the artifact that was refitted on every mature row.
        parity: the largest difference between pipeline and export, of both artifacts on the test rows.
        data: the rows of the training set.
        tested: those of the test dates.
    """

    columns: FeatureColumns
    parameters: dict[str, Any]
    evaluation: bytes
    shipped: bytes
    parity: float
    data: Frame
    tested: Frame


def fit(
    lake: Lake, folder: ModelDefinition, built: dataset.TrainingSet, trials: Trials, say: Say = lambda _: None
) -> Fitted:
    """Search, fit, export and refit on a training set; the registry is not asked, so a replay fits in the same way.

    Args:
        lake: where the training set is.
        folder: the model.
        built: the training set.
        trials: told each trial of the search.
        say: told what is being done.

    Raises:
        TrainingError: a class has no row, dates are too few to search, the estimator cannot be fitted or exported.
    """
    from ml_assets.training.export import parity, to_onnx  # onnxruntime, skl2onnx

    rows = dataset.read(lake, built.table, built.as_of, built.version)
    text = folder.spec.text.columns if folder.spec.text else ()
    inputs = columns(rows, {dataset.ROW, folder.spec.entity, "label"}, text)
    require_features(folder.spec.slices, inputs.all, f"{folder.name}/defs.yaml: slices")
    data = frame(rows, inputs, folder.spec.entity, dataset.ROW, folder.spec.label.classes)
    _require_classes(folder, data.at(built.split.train))
    parameters = folder.spec.estimator.parameters | _search(folder, data, built.split, inputs, trials, say)
    say("fit for the evaluation")
    judged = _fit(folder, inputs, parameters, data.at(built.split.train))
    tested = data.at(built.split.test)
    artifact = to_onnx(judged, inputs)
    difference = parity(judged, artifact, tested.X)
    say("refit on every mature row")
    final = _fit(folder, inputs, parameters, data)
    shipped = to_onnx(final, inputs)
    difference = max(difference, parity(final, shipped, tested.X))
    return Fitted(inputs, parameters, artifact, shipped, difference, data, tested)


def _require_classes(folder: ModelDefinition, data: Frame) -> None:
    """A class that no training row has would have no probability."""
    absent = [name for nr, name in enumerate(folder.spec.label.classes) if nr not in data.y]
    if absent:
        raise TrainingError(
            f"{folder.name}: no training row is a {absent[0]!r}: deliver labels of it, or take it out of label.classes"
        )


def _fit_and_register(
    lake: Lake, folder: ModelDefinition, built: dataset.TrainingSet, run: Run, files: Mapping[str, bytes], say: Say
) -> Version:
    from ml_assets.training.export import latency  # onnxruntime, skl2onnx

    fitted = fit(lake, folder, built, run, say)
    measured = {"onnx_parity": fitted.parity, **latency(fitted.shipped, fitted.tested.X)}
    run.log(
        {**fitted.parameters, **_counts(built.split)},
        {**measured, "rows_refit": len(fitted.data.y), "rows_test": len(fitted.tested.y)},
    )
    run.inputs([(table, f"{lake.root}/{table}", number, "training") for table, number in built.tables.items()])
    origin = training_record(folder, built, fitted)
    return run.register(
        ModelPackage(fitted.shipped, fitted.columns.kinds, folder.spec.label.classes, PROBABILITIES, MISSING),
        {RECORD: origin.to_json(), EVALUATION: fitted.evaluation, **files},
    )


def _search(
    folder: ModelDefinition, data: Frame, window: Split, chosen: FeatureColumns, trials: Trials, say: Say
) -> dict[str, Any]:
    """The best parameters on validation rows inside the training dates; the test rows are not looked at."""
    declared = folder.spec.search
    if declared is None or not declared.trials:
        return {}
    from ml_assets.training.tuning import search

    inner = validation(window.train, folder.spec.label.horizon, dates=folder.spec.window.test)
    if inner is None:
        raise TrainingError(
            f"{folder.name}: {len(window.train)} training dates are too few to search: with a horizon of "
            f"{folder.spec.label.horizon.days} days no date is left before the validation; raise window.train, or "
            "leave search out"
        )
    fitted, validated, task = data.at(inner.train), data.at(inner.test), folder.task

    def objective(parameters: Mapping[str, Any]) -> float:
        model = _fit(folder, chosen, folder.spec.estimator.parameters | dict(parameters), fitted)
        return task.validate(model, validated)

    def on_trial(trial: Any) -> None:  # noqa: ANN401 - a Trial
        say(f"search: trial {trial.number + 1} of {declared.trials}")
        trials.trial(trial.number, trial.parameters, trial.value, f"validation_{task.objective}")

    result = search(declared.space, declared.trials, objective, folder.spec.seed, on_trial)
    return dict(result.parameters)


def _fit(folder: ModelDefinition, chosen: FeatureColumns, parameters: Mapping[str, Any], data: Frame) -> "Pipeline":
    from ml_assets.training.estimator import TermWeights, build

    path, text = folder.spec.estimator.type, folder.spec.text
    words = TermWeights(text.terms, text.min_rows, text.ngrams) if text else None
    pipeline = build(path, parameters, chosen, folder.spec.seed, words)
    try:
        return pipeline.fit(data.X, data.y)
    except ValueError as error:  # scikit-learn looks at the values of parameters when it fits
        raise TrainingError(
            f"{folder.name}: {path} cannot be fitted with {dict(parameters)} ({error}): put right what it names under "
            "estimator, search or window in defs.yaml"
        ) from error


def _counts(window: Split) -> dict[str, object]:
    return {f"{name}_dates": f"{days[0]} to {days[-1]} ({len(days)})" for name, days in asdict(window).items()}


def training_record(folder: ModelDefinition, built: dataset.TrainingSet, made: Fitted) -> TrainingRecord:
    """The record of a fitted model."""
    return TrainingRecord(
        entity=folder.spec.entity,
        table=built.table,
        version=built.version,
        as_of=built.as_of,
        split=built.split,
        columns=made.columns,
        features=tuple(item.view for item in folder.features),
        ttls=tuple(item.ttl.total_seconds() for item in folder.features),
        parameters=dict(made.parameters),
        tables=built.tables,
        classes=folder.spec.label.classes,
    )
