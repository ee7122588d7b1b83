"""The sample of `retail`, as its `defs.yaml` names it: the public invoices."""

from datetime import timedelta
from pathlib import Path

from ml_assets.ingest.drop_zone import DropZone


def online_retail(zone: DropZone, from_: Path | None = None) -> str:
    """Put the Online Retail II invoices (UCI, CC BY 4.0) into the drop zone: download, check, write.

    Args:
        zone: where the files go.
        from_: a local .zip, .xlsx, .csv or .parquet of it.

    Returns:
        A sentence that says what was written and how to go on.

    Raises:
        DataError: the download failed, or the file is not what it should be.
    """
    with zone.bar("reading" if from_ else "downloading", "lines" if from_ else "bytes", "read") as progress:
        from ml_assets.examples.retail import download as retail

        path = from_ or retail.fetch(retail.URL, zone.folder, progress)
        table = retail.convert(path, zone.folder, progress, lines=None if from_ else retail.LINES)
        lines, last = retail.extent(table)
    dates = zone.cadence.dates(last + timedelta(days=1))
    as_of = f" --as-of {dates[-1]}" if dates else ""
    return f"{table}: {lines:,} lines until {last}: next, `ml-assets run {zone.model}{as_of}`"
