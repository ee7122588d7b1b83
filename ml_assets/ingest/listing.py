"""What lies in the drop zone, in one short text: who keeps it sees the next change without reading a file."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml_assets.spec.source import SourceSpec


@dataclass(frozen=True)
class Listing:
    """The finished files of a source.

    Args:
        files: how many there are.
        digest: the same text for the same names, sizes and times of change.
    """

    files: int
    digest: str


def list_files(spec: "SourceSpec", location: Path | str | None) -> Listing:
    """List the files of a source; none is opened.

    Raises:
        DataError: a relative glob without a drop zone.
    """
    from ml_assets.ingest.files import arrivals  # pyarrow: a listing is asked for long after the load

    files = arrivals(spec.files, location)
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0{file.size}\0{file.mtime}\n".encode())
    return Listing(len(files), digest.hexdigest()[:16])


def changed_sources(before: Mapping[str, str], now: Mapping[str, Listing]) -> Sequence[str]:
    """The sources whose files are others than `before` (source → digest); one without any file has not changed."""
    return [name for name, listing_now in now.items() if listing_now.files and before.get(name) != listing_now.digest]
