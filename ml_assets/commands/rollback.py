"""`ml-assets rollback`: another version answers, from now on, for a reason that is kept."""

from datetime import UTC, datetime

from ml_assets.commands.project import Project


def rollback(project: Project, model: str, to: int | None, reason: str) -> str:
    """Make another released version of a model the champion; the sentence that says so.

    Args:
        project: the loaded project.
        model: the model.
        to: the version; None for the champion before this one.
        reason: why, for the ledger.

    Raises:
        DeclarationError: there is no such model.
        TrainingError: there is nothing to roll back to.
    """
    from ml_assets.training.release import explain
    from ml_assets.training.rollback import rollback

    registry = project.registry
    with registry.rewording_errors():
        is_registered = registry.has_model(model)
    if not is_registered:  # a folder that cannot be loaded keeps nobody from going back
        project.model(model)
    now = datetime.now(UTC).replace(tzinfo=None)
    version = rollback(project.lake, registry, model, to=to, reason=reason, decided_at=now)
    return (
        f"{model}: {explain(project.lake, model, version.number)}. Servers answer with it within seconds, where the "
        f"online store has its features; `ml-assets run {model}` scores the population with it"
    )
