"""The content of a file as Arrow batches of storable types, in bounded memory."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from ml_assets.errors import DataError
from ml_assets.ingest.content import Content, require_names
from ml_assets.ingest.file_suffixes import known_format
from ml_assets.ingest.readers.csv_file import read_csv
from ml_assets.ingest.readers.json_lines import read_jsonl
from ml_assets.ingest.readers.parquet_file import read_parquet

if TYPE_CHECKING:
    from ml_assets.ingest.files import Arrival
    from ml_assets.spec.source import SourceSpec


def read(arrival: "Arrival", spec: "SourceSpec", held: ExitStack) -> Content:
    """How to read a file.

    Args:
        arrival: a whole file.
        spec: how its text is written.
        held: lets go of what is open when the content is not needed any more.

    Raises:
        DataError: the bytes are not what the extension promises, or a column cannot be named.
    """
    # Whoever says how cells stand apart says that it is text in columns, whatever the file is called.
    kind = known_format(arrival.path) or ("csv" if spec.format.separator else arrival.format)
    match kind:
        case "parquet":
            content = read_parquet(arrival)
        case "csv":
            content = read_csv(arrival, spec)
        case _:
            content = read_jsonl(arrival, spec.format, held)
    require_names(arrival.name, content.schema.names)
    return replace(content, batches=lambda: _counted(arrival, content))


def _counted(arrival: "Arrival", content: Content) -> Iterator[pa.RecordBatch]:
    """The batches; what two readers of a file count differently is refused rather than lost."""
    rows = 0
    for batch in content.batches():
        rows += batch.num_rows
        yield batch
    if content.rows not in (None, rows):
        raise DataError(
            f"{arrival.name}: has {content.rows:,} rows in one reading and {rows:,} in another: "
            "put quotation marks around cells with line breaks, and double those within"
        )
