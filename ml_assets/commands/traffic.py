"""`ml-assets data traffic`: customers who ask a running server, and a challenger of known fault if one is wanted."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.commands.progress import bar, show_work
from ml_assets.commands.project import Project
from ml_assets.commands.simulation.challenger import Fault
from ml_assets.commands.simulation.customers import read_customers
from ml_assets.commands.simulation.driver import TrafficPlan, drive
from ml_assets.errors import DeclarationError

if TYPE_CHECKING:
    from ml_assets.commands.simulation.release import SimulatedChallenger

_FAULTS: dict[Fault, str] = {
    "same": "nothing is wrong with it",
    "better": "it knows the truth of the customers better than the champion",
    "slow": "it takes ten milliseconds more for a row",
    "failing": "it fails on about half of the rows",
    "missing": "it does not see {leading}, which the champion leans on most",
    "worse": "it ranks customers as chance would, which only labels show",
}


def traffic(project: Project, plan: TrafficPlan, challenger: Fault | None) -> list[str]:
    """Make the challenger, if one is wanted, and send the traffic; the lines that say what came of it.

    Args:
        project: the loaded project.
        plan: what is sent; the column of its entities is the model's own.
        challenger: its fault; None: none is made.

    Raises:
        DeclarationError: there is no such model, or a challenger is wanted and the folder declares no rollout for it.
        DataError: nothing was scored yet, or no server answers.
        TrainingError: there is no champion to make a challenger of.
    """
    folder = project.folder(plan.model)
    if challenger is not None:
        _require_rollout(project, plan.model)
    customers = read_customers(project.lake, folder, np.random.default_rng(plan.seed))
    lines = [] if challenger is None else [_offer(project, plan.model, challenger)]
    with bar(f"traffic for {plan.model}", "requests", "sent and recorded") as progress:
        counts = drive(replace(plan, entity=folder.spec.entity), customers, progress)
    return [*lines, *counts.lines()]


def _require_rollout(project: Project, model: str) -> None:
    """Refuse to make a challenger that would wait for ever."""
    from ml_assets.components import Rollout

    if not project.model(model).siblings(project.tree, Rollout):
        raise DeclarationError(
            f"{model} declares no rollout, so a challenger would wait for ever: add a document "
            f"`type: ml_assets.components.Rollout` to ml_assets/defs/{model}/defs.yaml"
        )


def _offer(project: Project, model: str, fault: Fault) -> str:
    with show_work(f"making a challenger for {model}"):
        from ml_assets.commands.simulation.release import offer_challenger

        folder, now = project.folder(model), datetime.now(UTC).replace(tzinfo=None)
        challenger = offer_challenger(project.lake, project.registry, folder, fault, now=now)
    return _describe(challenger)


def _describe(challenger: "SimulatedChallenger") -> str:
    what = _FAULTS[challenger.fault].format(leading=challenger.leading)
    version = challenger.version
    return f"version {version.number} of {version.model} is offered to the rollout, made of the champion: {what}"
