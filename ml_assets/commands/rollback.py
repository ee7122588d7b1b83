"""`ml-assets rollback`: another version answers, from now on, for a reason that is kept."""

from datetime import UTC, datetime

from ml_assets.commands.person import person
from ml_assets.commands.project import Project


def rollback(project: Project, model: str, to: int | None, reason: str) -> str:
    """End the rollout of a model, or make another released version the champion; the sentence that says so.

    Args:
        project: the loaded project.
        model: the model.
        to: the version; None: the state before the running rollout, or the champion before this one.
        reason: why, for the ledger.

    Raises:
        DeclarationError: there is no such model.
        TrainingError: there is nothing to roll back to.
    """
    from ml_assets.rollouts.by_hand import go_back

    registry = project.registry
    with registry.rewording_errors():
        is_registered = registry.has_model(model)
    if not is_registered:  # a folder that cannot be loaded keeps nobody from going back
        project.model(model)
    now = datetime.now(UTC).replace(tzinfo=None)
    sentence = go_back(project.lake, registry, model, to=to, reason=reason, actor=person(), now=now)
    return (
        f"{model}: {sentence}. Servers answer with it within seconds, where the online store has its features; "
        f"`ml-assets run {model}` scores the population with it"
    )
