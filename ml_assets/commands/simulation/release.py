"""A simulated challenger as a released version: registered, judged by the gates, published, offered to the rollout."""

from dataclasses import dataclass
from datetime import datetime

from ml_assets.commands.simulation.challenger import ChampionArtifact, Fault, build_challenger
from ml_assets.errors import TrainingError
from ml_assets.rollouts.offers import offer_version
from ml_assets.storage.artifacts import ModelPackage
from ml_assets.storage.lake import Lake
from ml_assets.storage.manifest import MISSING, PROBABILITIES, Manifest
from ml_assets.storage.registry import Registry, Version
from ml_assets.training.definition import ModelDefinition
from ml_assets.training.evaluation import read_evaluation
from ml_assets.training.record import EVALUATION, RECORD, record, required_file

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

    Its evaluation is the champion's own: what is wrong with it is wrong in production, and the gates see nothing.

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
    inputs = Manifest.from_json(registry.manifest(champion)).inputs
    onnx = build_challenger(ChampionArtifact(registry.onnx(champion), inputs, leading), fault)
    version = _publish(lake, registry, folder, _register(registry, champion, fault, onnx, now), workers)
    offer_version(
        lake, version, as_of=version.as_of, at=now, actor="simulation", reason=f"a simulated challenger: {fault}"
    )
    return SimulatedChallenger(version, fault, leading)


def _leading_feature(registry: Registry, champion: Version) -> str:
    """The feature of the largest importance, where that was measured; else the first one."""
    known = read_evaluation(registry, champion)
    if known is not None and known.evaluation.importance:
        return max(known.evaluation.importance.items(), key=lambda item: item[1].mean)[0]
    return record(registry, champion).columns.all[0]


def _register(registry: Registry, champion: Version, fault: Fault, onnx: bytes, now: datetime) -> Version:
    """A version beside the champion with another artifact; what it was trained from and its evaluation stay."""
    origin = record(registry, champion)
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
        files = {RECORD: origin.to_json(), EVALUATION: required_file(registry, champion, EVALUATION)}
        return run.register(package, files)


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
