"""Files as they arrive: which there are, and what identifies them."""

import hashlib
import lzma
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa

from ml_assets.errors import DataError
from ml_assets.escaping import printable
from ml_assets.ingest.file_suffixes import KNOWN, any_case, known_format
from ml_assets.ingest.obstacles import obstacle, real_folder

if TYPE_CHECKING:
    import fsspec

_UNFINISHED = (".tmp", ".part", ".crdownload")
_CHUNK = 1 << 20
_MAGIC = "*?[{"
# Object stores name the time of the last change differently; an entity tag serves as well.
_CHANGED = ("mtime", "LastModified", "last_modified", "updated", "created", "ETag", "etag")
# What the readers raise for bytes that are not what the name promises.
_BROKEN = (pa.ArrowException, OSError, EOFError, UnicodeError, zlib.error, lzma.LZMAError)


@dataclass(frozen=True)
class Arrival:
    """A file in the drop zone.

    Args:
        name: how it is called in reports: its path below the drop zone, or its whole address.
        path: its path within `system`.
        size: bytes; -1 where its store does not say.
        mtime: when it was last changed, as its file system writes it.
        obstacle: why it is not read; empty for a file.
    """

    system: "fsspec.AbstractFileSystem"
    path: str
    name: str
    size: int
    mtime: str
    obstacle: str = ""

    @property
    def format(self) -> str:
        """`csv`, `jsonl` or `parquet`; compression left out.

        Raises:
            DataError: another extension.
        """
        if (kind := known_format(self.path)) is None:
            raise DataError(
                f"{self.name}: unknown extension, deliver one of {', '.join(KNOWN)}; if it is text in columns, write "
                'what stands between them, such as `format: {separator: "\\t"}`'
            )
        return kind

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The content as delivered.

        Raises:
            DataError: anything in the block that says that the bytes are no such file.
        """
        try:
            with self.system.open(self.path, "rb") as raw:
                yield raw
        except _BROKEN as error:
            what = " ".join(str(error).split())[:300]
            raise DataError(
                f"{self.name}: cannot be read as {known_format(self.path) or 'text'}, deliver it again ({what})"
            ) from error


def arrivals(files: str, location: Path | str | None) -> list[Arrival]:
    """What a glob finds, finished files by name; what is no file, or not in the drop zone, with its `obstacle`.

    Args:
        files: a glob below `location`, or a URL that fsspec opens.
        location: the drop zone; needed unless `files` is a URL.

    Raises:
        DataError: a relative glob without a drop zone, or a place that cannot be listed.
    """
    if "://" not in files and location is None:
        raise DataError(f"files {files!r}: no drop zone is given, name one or write a URL (file:///archive/*.csv)")
    system, pattern, entries = _glob(files if "://" in files else f"{os.fspath(location or '')}/{files}")
    base = _fixed_part(pattern)
    zone_folder = base if "://" in files else str(system._strip_protocol(os.fspath(location or "")))  # noqa: SLF001 - fsspec's only spelling of it
    entries = entries | _parts(system, entries, base)
    finished = [(path, info) for path, info in entries.items() if info["type"] != "directory" and _finished(path, base)]
    whole = "://" in files
    zone = real_folder(zone_folder) if "file" in _protocols(system) else ""
    return [
        Arrival(
            system,
            path,
            printable(path if whole else _below(path, zone_folder)),
            *_state(path, info),
            obstacle(path, info, zone),
        )
        for path, info in sorted(finished)
    ]


def unread_names(files: str, location: Path | str | None, taken: Iterable[str]) -> tuple[str, ...]:
    """What lies in the folder of a glob and is not read, by name; folders end with a slash.

    Args:
        files: a glob below `location`, or a URL that fsspec opens.
        location: the drop zone; needed unless `files` is a URL.
        taken: the paths of what the glob finds.

    A store that names its files but lists no folder has nothing beside them.
    """
    try:
        _, pattern, entries = _glob(files if "://" in files else f"{os.fspath(location or '')}/{files}", folder=True)
    except DataError:
        return ()
    base, read = _fixed_part(pattern), tuple(taken)
    return tuple(
        sorted(
            printable(_below(path, base)) + ("/" if info["type"] == "directory" else "")
            for path, info in entries.items()
            if _finished(path, base) and not any(name == path or name.startswith(f"{path}/") for name in read)
        )
    )


def _glob(address: str, *, folder: bool = False) -> "tuple[fsspec.AbstractFileSystem, str, dict[str, dict[str, Any]]]":
    import fsspec

    try:
        system, pattern = fsspec.core.url_to_fs(address)
        varies = any(sign in pattern for sign in _MAGIC)
        pattern = f"{_fixed_part(pattern)}/*" if folder else any_case(pattern) if varies else pattern
        entries: dict[str, dict[str, Any]] = system.glob(pattern, detail=True)
        # A listing of a web server does not say how large a file is.
        sized = {path: system.info(path) for path, info in entries.items() if info.get("size") is None}
        return system, pattern, entries | sized
    except Exception as error:  # whatever the client of a store raises
        what = " ".join(str(error).split())[:300] or type(error).__name__
        raise DataError(
            f"files {address!r} cannot be listed, check the address and that its store answers ({what})"
        ) from error


def _protocols(system: "fsspec.AbstractFileSystem") -> tuple[str, ...]:
    return (system.protocol,) if isinstance(system.protocol, str) else tuple(system.protocol)


def _parts(
    system: "fsspec.AbstractFileSystem", found: dict[str, dict[str, Any]], base: str
) -> dict[str, dict[str, Any]]:
    """The files of folders that are called like a file: Spark writes its parts there."""
    folders = [path for path, info in found.items() if info["type"] == "directory" and known_format(path)]
    parts = [info for path in folders if _finished(path, base) for info in system.ls(path, detail=True)]
    return {info["name"]: info for info in parts if known_format(info["name"])}


@dataclass(frozen=True)
class Identity:
    """What a file holds, and its state when that was found out.

    Args:
        sha: the SHA-256 of the content as delivered, in hexadecimal.
        state: size and time of the last change, as its file system says when asked for this file.
    """

    sha: str
    state: tuple[int, str]


def identify(arrival: Arrival) -> Identity:
    """Read the content once for its hash.

    Raises:
        DataError: it is no file, or cannot be opened.
    """
    if arrival.obstacle:
        raise DataError(f"{arrival.name}: {arrival.obstacle}")
    state, sha = _now(arrival), hashlib.sha256()
    try:
        with arrival.system.open(arrival.path, "rb") as stream:
            while chunk := stream.read(_CHUNK):
                sha.update(chunk)
    except OSError as error:
        raise DataError(f"{arrival.name}: cannot be opened, check its permissions ({error})") from error
    return Identity(sha.hexdigest(), state)


def require_content(arrival: Arrival) -> None:
    """Refuse what holds nothing.

    Raises:
        DataError: no bytes.
    """
    if not arrival.size:
        raise DataError(f"{arrival.name}: is empty, deliver it again or remove it")


def require_unchanged(arrival: Arrival, identity: Identity) -> None:
    """Refuse what was written to since it was identified.

    Raises:
        DataError: size or time are others, or the file is gone.
    """
    if _now(arrival) != identity.state:
        raise DataError(f"{arrival.name}: changed while it was read, deliver it under a temporary name first")


def _now(arrival: Arrival) -> tuple[int, str]:
    """The state of a file; a listing may write the same time differently, so the two are never compared."""
    arrival.system.invalidate_cache()
    try:
        return _state(arrival.path, arrival.system.info(arrival.path))
    except FileNotFoundError as error:
        raise DataError(f"{arrival.name}: vanished, or is a link to nothing: deliver it again") from error


def _state(path: str, info: dict[str, Any]) -> tuple[int, str]:
    """Size and time of the last change; of the file itself where the path is a link to it."""
    if info.get("islink") and Path(path).exists():
        stat = Path(path).stat()
        return stat.st_size, str(stat.st_mtime)
    size = info.get("size")
    return -1 if size is None else int(size), next(
        (str(info[key]) for key in _CHANGED if info.get(key) is not None), ""
    )


def _fixed_part(pattern: str) -> str:
    """The folder below which a pattern begins to vary; an address keeps its two slashes."""
    first = min((place for sign in _MAGIC if (place := pattern.find(sign)) >= 0), default=len(pattern))
    return pattern[:first].rpartition("/")[0]


def _below(path: str, base: str) -> str:
    return str(PurePosixPath(path).relative_to(base)) if PurePosixPath(path).is_relative_to(base) else path


def _finished(path: str, base: str) -> bool:
    parts = PurePosixPath(_below(path, base)).parts
    return not any(part.startswith((".", "_")) for part in parts) and not path.lower().endswith(_UNFINISHED)
