"""The sample of `documents`, as its `defs.yaml` names it: generated documents, or files of one's own."""

from pathlib import Path

from ml_assets.ingest.drop_zone import DropZone
from ml_assets.spec.cadence import last_sunday, parse_date


def documents(
    zone: DropZone,
    documents: int = 1000,
    weeks: int = 26,
    seed: int = 0,
    end: str = "",
    append: int = 0,
    from_: Path | None = None,
) -> str:
    """Write real-estate documents as PDFs, scans and text, with what they are; or deliver your own.

    Args:
        zone: where the files go.
        documents: documents of the whole history.
        weeks: weeks of history.
        seed: seed: the same seed and end give the same bytes.
        end: the Sunday before which the history ends [default: the last one].
        append: let so many weeks pass after the files that are there.
        from_: deliver the files of a folder of your own.

    Returns:
        A sentence that says what was written and how to go on.

    Raises:
        DataError: the folder holds another history, a date is not one, or there is nothing to deliver or append to.
    """
    if from_ is not None:
        return _deliver(zone, from_)
    with zone.bar("writing documents", "weeks") as progress:
        from ml_assets.examples.documents import write

        if append:
            write.read(zone.folder)  # refused before anything is written
            with zone.mark_unfinished():
                files = write.append(zone.folder, append, progress)
        else:
            day = parse_date(end) if end else last_sunday(zone.today)
            with zone.mark_unfinished(day):
                files = write.write(
                    zone.folder, documents=documents, weeks=weeks, end=day, seed=seed, progress=progress
                )
        plan = write.read(zone.folder)
    return (
        f"{len(files)} new files in {zone.folder}: {plan.start} to {plan.end}: next, "
        f"`ml-assets run {zone.model} --as-of {plan.end}`"
    )


def _deliver(zone: DropZone, source: Path) -> str:
    with zone.bar("delivering documents", "files", "delivered") as progress:
        from ml_assets.ingest.own_files import deliver

        count = deliver(source, zone.folder / "files", last_sunday(zone.today), progress)
    return f"{count} new files in {zone.folder / 'files'}: next, `ml-assets run {zone.model}`"
