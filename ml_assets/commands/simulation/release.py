"""A simulated challenger as a released version: registered, judged by the gates, published, offered to the rollout."""

from dataclasses import dataclass, replace
from datetime import datetime

from ml_assets.commands.simulation.challenger import ChampionArtifact, Fault, build_challenger
from ml_assets.decisions.interval import Interval
from ml_assets.errors import TrainingError
from ml_assets.rollouts.offers import offer_version
from ml_assets.storage.artifacts import ModelPackage
from ml_assets.storage.lake import Lake
from ml_assets.storage.manifest import MISSING, PROBABILITIES, Manifest
from ml_assets.storage.registry import Registry, Version
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.evaluation import (
    REPORT,
    EvaluationInputs,
    EvaluationRecord,
    required_evaluation,
)
from ml_assets.training.record import EVALUATION, RECORD, record, required_file
from ml_assets.training.report import PLOTS

_OTHER_MODELS: frozenset[Fault] = frozenset({"better", "worse"})
"""The faults that are a model's own, also on the test rows."""

TAG = "simulated_challenger"
"""The tag that says of a version that it was made to show a fault."""


@dataclass(frozen=True)
class SimulatedChallenger:
    """A version that was made of the champion.

    Args:
        version: in the registry, released and offered.
        fault: what is wrong with it.
        leading: the feature that the champion leans on most.
    """

    version: Version
    fault: Fault
    leading: str


def offer_challenger(
    lake: Lake, registry: Registry, folder: ModelDefinition, fault: Fault, *, now: datetime, workers: int = 2
) -> SimulatedChallenger:
    """Make a challenger of the champion and offer it to the rollout, as the loop offers a candidate.

    Its metrics are the champion's own, so the gates see nothing: that is what a rollout is for. Another model decides
    otherwise on the test rows, too; a fault of production is not there.

    Args:
        lake: where the training set is.
        registry: where the champion is.
        folder: the model.
        fault: what is to be wrong.
        now: naive UTC.
        workers: as-of dates computed side by side.

    Raises:
        TrainingError: there is no champion to make it of, or its gates refuse the challenger.
    """
    champion = registry.champion(folder.name)
    if champion is None:
        raise TrainingError(
            f"{folder.name} has no champion to make a challenger of: `ml-assets run {folder.name}` first"
        )
    leading = _leading_feature(registry, champion)
    version = _publish(lake, registry, folder, _register(registry, folder, champion, fault, leading, now), workers)
    offer_version(
        lake, version, as_of=version.as_of, at=now, actor="simulation", reason=f"a simulated challenger: {fault}"
    )
    return SimulatedChallenger(version, fault, leading)


def _leading_feature(registry: Registry, champion: Version) -> str:
    """The feature of the largest importance, where that was measured; else the first one."""
    importance = required_evaluation(registry, champion).evaluation.importance
    if importance:
        return max(importance.items(), key=lambda item: item[1].mean)[0]
    return record(registry, champion).columns.all[0]


def _register(
    registry: Registry, folder: ModelDefinition, champion: Version, fault: Fault, leading: str, now: datetime
) -> Version:
    """A version beside the champion with another artifact; what it was trained from and its metrics stay."""
    origin, inputs = record(registry, champion), Manifest.from_json(registry.manifest(champion)).inputs
    onnx = build_challenger(ChampionArtifact(registry.onnx(champion), inputs, leading), fault)
    evaluated = required_file(registry, champion, EVALUATION)
    if fault in _OTHER_MODELS:
        evaluated = build_challenger(ChampionArtifact(evaluated, inputs, leading), fault)
    kept = {name: champion.tags[name] for name in ("as_of", "parts") if name in champion.tags}
    tags = {
        **kept,
        TAG: fault,
        "recipe": f"simulated {fault} of {champion.number} at {now.isoformat()}",
        "reason_to_train": f"a simulated challenger of version {champion.number}: {fault}",
        "declaration": f"simulated {fault} of {champion.tags.get('declaration', champion.number)}",
    }
    with registry.run(champion.model, f"simulated {fault}", tags) as run:
        run.log(origin.parameters, registry.metrics(champion.run_id))
        package = ModelPackage(onnx, origin.columns.kinds, origin.classes, PROBABILITIES, MISSING)
        files = {RECORD: origin.to_json(), EVALUATION: evaluated, REPORT: _judge(registry, folder, champion)}
        plots = registry.read(champion.run_id, PLOTS)
        return run.register(package, files | ({PLOTS: plots} if plots else {}))


def _judge(registry: Registry, folder: ModelDefinition, champion: Version) -> bytes:
    """The champion's evaluation as that of a version that is exactly as good."""
    evaluation = required_evaluation(registry, champion).evaluation
    equal = {metric: Interval(0.0, 0.0, 0.0) for metric in evaluation.metrics}
    beside = replace(
        evaluation, others=evaluation.others | {"champion": evaluation.metrics},
        intervals=evaluation.intervals | {"champion": equal},
    )  # fmt: skip
    asked = EvaluationInputs(champion.number, folder.spec.judged_on)
    return EvaluationRecord(beside, f"version {champion.number}, as released", asked).to_json()


def _publish(lake: Lake, registry: Registry, folder: ModelDefinition, version: Version, workers: int) -> Version:
    """The version with its manifest, if its gates pass beside the champion of today.

    Raises:
        TrainingError: they do not.
    """
    from ml_assets.decisions.gate import GateAction
    from ml_assets.training.publish import manifest
    from ml_assets.training.release import publish
    from ml_assets.training.report import report

    judged = report(lake, registry, folder, version, workers=workers)
    if judged.verdict.action is not GateAction.SHIP:
        raise TrainingError(
            f"{folder.name}: the gates refuse a copy of the champion ({judged.verdict.reason}): run the loop, so that "
            "the champion passes the gates of today"
        )
    return publish(registry, judged.version, judged.verdict, manifest(lake, registry, folder, judged))
