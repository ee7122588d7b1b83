"""Documents that were refused, read again because somebody asks."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from ml_assets.commands.project import Project
from ml_assets.errors import DataError
from ml_assets.settings import PROJECT, settings


def read_again(model: str, progress: Callable[[int, int], None]) -> list[str]:
    """Read every refused document of a model again, and whatever is new.

    Args:
        model: the folder.
        progress: told files done and all files.

    Returns:
        What came of it, a line for each source.

    Raises:
        DataError: the model has no source of documents.
    """
    return list(_outcomes(Project(PROJECT), model, progress))


def _outcomes(project: Project, model: str, progress: Callable[[int, int], None]) -> Iterator[str]:
    from ml_assets.sources.ingest import ingest

    specs = [source.spec for source in project.sources(model) if source.spec.read == "documents"]
    if not specs:
        raise DataError(f"{model} has no source with `read: documents`: rows are corrected by delivering them again")
    for spec in specs:
        now = datetime.now(UTC).replace(tzinfo=None)
        table = f"{model}/raw/{spec.name}"
        done = ingest(
            project.lake,
            table,
            spec,
            settings().incoming,
            lambda at, files, _name: progress(at, files),
            now=now,
            retry=True,
        )
        left = f"{done.quarantined} cannot be read: SELECT reason FROM {table}_quarantine" if done.quarantined else ""
        yield f"{model}/{spec.name}: {len(done.new_files)} tried, {done.accepted} read" + (left and f", {left}")
