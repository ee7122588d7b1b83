"""When documents arrived, where that is known from elsewhere: an archive that is delivered as a whole has a past."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_assets.errors import DataError
from ml_assets.ingest.files import Arrival, arrivals

if TYPE_CHECKING:
    from ml_assets.spec.source import SourceSpec

_EXAMPLE = '{"document_id": "<SHA-256 of the file>", "received_at": "2026-08-14T10:00:00"}'


def register(spec: "SourceSpec", location: Path | str | None) -> dict[str, datetime]:
    """The known arrivals of a source, naive UTC, by the SHA-256 of the content; of several the earliest counts.

    Raises:
        DataError: a line cannot be understood; without it, a document would arrive at another time in silence.
    """
    arrived: dict[str, datetime] = {}
    for file in arrivals(spec.arrivals, location) if spec.arrivals else ():
        for name, at in _lines(file):
            arrived[name] = min(at, arrived.get(name, at))
    return arrived


def _lines(file: Arrival) -> Iterator[tuple[str, datetime]]:
    try:
        with file.system.open(file.path, "rb") as stream:
            lines = stream.read().splitlines()
    except OSError as error:
        raise DataError(f"{file.name}: cannot be opened, check its permissions ({error})") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _line(line, f"{file.name}, line {number}")


def _line(line: bytes, where: str) -> tuple[str, datetime]:
    try:
        entry: Any = json.loads(line)
        name, at = str(entry["document_id"]).lower(), datetime.fromisoformat(entry["received_at"])
    except (ValueError, KeyError, TypeError) as error:
        what = line[:80].decode(errors="replace")
        raise DataError(f"{where}: {what} does not say when a document arrived, write {_EXAMPLE}") from error
    return name, at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
