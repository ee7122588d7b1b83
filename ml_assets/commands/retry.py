"""Documents that were refused, read again because somebody asks."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from ml_assets.commands.project import Project
from ml_assets.errors import DataError
from ml_assets.ingest.ledger import quarantine_table
from ml_assets.ingest.left_files import quarantined_reasons
from ml_assets.storage.tables import ModelTables

_SHOWN = 10  # reasons that are printed


def read_again(project: Project, model: str, progress: Callable[[int, int], None]) -> list[str]:
    """Read every refused document of a model again, and whatever is new.

    Args:
        project: the loaded project.
        model: the folder, or `<model>/<source>`.
        progress: told files done and all files.

    Returns:
        What came of it, by source, and why the others cannot be read.

    Raises:
        DataError: the model has no source of documents.
    """
    return list(_outcomes(project, model, progress))


def _outcomes(project: Project, model: str, progress: Callable[[int, int], None]) -> Iterator[str]:
    from ml_assets.ingest.ingest import ingest

    model, _, name = model.partition("/")
    of_documents = [source.spec for source in project.sources(model) if source.spec.read == "documents"]
    specs = [spec for spec in of_documents if name in {"", spec.name}]
    if not specs:
        raise DataError(
            f"{'/'.join(filter(None, (model, name)))} reads no documents: rows are corrected by delivering them again"
        )
    for spec in specs:
        now = datetime.now(UTC).replace(tzinfo=None)
        table = ModelTables(model).raw(spec.name)
        done = ingest(
            project.lake,
            table,
            spec,
            project.settings.incoming,
            lambda at, files, _name: progress(at, files),
            now=now,
            retry=True,
        )
        yield f"{model}/{spec.name}: {len(done.new_files)} read or tried again, {done.accepted} accepted"
        if done.in_quarantine:
            reasons = quarantined_reasons(project.lake, table)
            yield f"{len(reasons)} in {quarantine_table(table)}:"
            yield from (f"  {reason}" for reason in reasons[:_SHOWN])
            if len(reasons) > _SHOWN:
                yield f"  and {len(reasons) - _SHOWN} more"
