"""`ml-assets rollout`: how a rollout stands, and what a person does about it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from ml_assets.commands.person import person
from ml_assets.commands.project import Project
from ml_assets.errors import TrainingError

if TYPE_CHECKING:
    from ml_assets.rollouts.report import RolloutReport
    from ml_assets.storage.lake import Lake

RolloutCommand = Literal["show", "resume", "promote", "roll-back", "offer"]
"""What a person may do."""


def rollout(project: Project, model: str, command: RolloutCommand, *, version: int | None, reason: str) -> str:
    """Do one of the commands; the sentence that says what was done, or how the rollout stands.

    Args:
        project: the loaded project.
        model: the model.
        command: what to do.
        version: that is offered; None with the other commands.
        reason: why, for the ledger; `show` needs none.

    Raises:
        DeclarationError: there is no such model.
        TrainingError: no rollout is running, there is no reason, or the version was never released.
    """
    project.model(model)
    if command == "show":
        return show_rollout(project.lake, model)
    if not reason.strip():
        raise TrainingError(f"{model}: {command} needs a reason: say with --reason why")
    if (version is not None) != (command == "offer"):
        raise TrainingError("--version says which version is offered: give it with `offer`, and with nothing else")
    if command == "offer" and version is not None:
        return _offer(project, model, version, reason)
    return _step(project, model, command, reason)


def _step(project: Project, model: str, command: RolloutCommand, reason: str) -> str:
    from ml_assets.rollouts.rollout import promote_by_hand, resume, roll_back_by_hand

    act = {"resume": resume, "promote": promote_by_hand, "roll-back": roll_back_by_hand}[command]
    act(project.lake, project.registry, model, reason=reason, actor=person(), now=_now())
    return show_rollout(project.lake, model)


def _offer(project: Project, model: str, number: int, reason: str) -> str:
    """A person offers a released version, whatever its gates say beside the champion of today."""
    from ml_assets.rollouts.offers import offer_version
    from ml_assets.training.rollback import reached_as_of

    version = project.registry.find_version(model, number)
    if version is None:
        raise TrainingError(f"{model} has no version {number}: see `ml-assets status`")
    as_of = reached_as_of(project.lake, model, _now())
    offer_version(project.lake, version, as_of=as_of, at=_now(), actor=person(), reason=reason, gated=False)
    return f"{model}: version {number} is offered to the rollout, which begins when its turn comes"


def show_rollout(lake: "Lake", model: str) -> str:
    """How the last rollout of a model stands, what each guardrail says, what labels say since, and who waits."""
    from ml_assets.rollouts.offers import next_offer
    from ml_assets.rollouts.report import read_report

    report, waiting = read_report(lake, model), next_offer(lake, model)
    lines = [f"{model}: no rollout yet"] if report is None else _lines(lake, report)
    if waiting is not None:
        lines.append(f"version {waiting.version} waits for its turn: {waiting.reason}")
    return "\n".join(lines)


def _lines(lake: "Lake", report: "RolloutReport") -> list[str]:
    from ml_assets.rollouts.report import late_sentence

    step = report.last
    state = f"{step.share:.0%} of the units" if step.is_open else step.action.replace("_", " ")
    late = late_sentence(lake, report.model) if step.action == "promote" else None
    return [
        f"{report.model}: rollout {step.rollout} of version {step.challenger} beside version {step.control}: {state}",
        f"{step.at:%Y-%m-%d %H:%M} UTC, {step.actor}: {step.action}: {step.reason}",
        *(each.reason for each in report.results),
        *([f"late verdict, {late}"] if late else []),
    ]


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
