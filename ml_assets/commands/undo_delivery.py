"""`ml-assets data undo`: a delivery taken back."""

import typer

from ml_assets.commands.project import Project
from ml_assets.commands.screen import echo
from ml_assets.errors import DataError
from ml_assets.storage.tables import ModelTables


def undo_delivery(project: Project, source: str, file: str, *, yes: bool) -> None:
    """Say what a delivery brought, ask, and take it back.

    Args:
        project: the loaded project.
        source: `<model>/<source>`.
        file: its path as reports name it, the end of it, or the beginning of its SHA-256.
        yes: do not ask.

    Raises:
        DataError: there is no such source or delivery, or nobody said yes.
    """
    from ml_assets.ingest.undo_delivery import last_delivery, undo

    model, _, name = source.partition("/")
    specs = {each.spec.name: each.spec for each in project.sources(model)}
    if name not in specs:
        choices = ", ".join(f"{model}/{each}" for each in sorted(specs))
        raise DataError(f"no source {source!r}: write the model and the source, one of {choices}")
    table = ModelTables(model).raw(name)
    delivery = last_delivery(project.lake, table, file)
    came = "" if delivery.delivered is None else f", delivered at {delivery.delivered:%Y-%m-%d %H:%M:%S} UTC"
    back = f" The rows of {', '.join(delivery.restored)} that it replaced come back." if delivery.restored else ""
    echo(
        f"{delivery.file}{came}: {delivery.rows:,} rows of {table} and {delivery.quarantined:,} quarantined rows go."
        f"{back} What was computed from them is computed again by the next run."
    )
    if not yes and not typer.confirm("Take it back?"):
        raise DataError("nothing was changed: say yes, or call with --yes")
    undo(project.lake, table, specs[name], project.settings.incoming, delivery.sha)
    echo(
        f"taken back: the file stays where it is and is not read again until it is delivered again (changed, touched, "
        f"or under another name); next, `ml-assets run {model}`"
    )
