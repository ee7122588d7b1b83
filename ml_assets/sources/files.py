"""Files as they arrive: which there are, what identifies them, and whether they are whole."""

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, cast

import pyarrow as pa

from ml_assets.errors import DataError
from ml_assets.sources.obstacles import obstacle, printable, real_folder

if TYPE_CHECKING:
    import fsspec

TEXT = (".csv", ".jsonl", ".ndjson")
FORMATS = (*TEXT, *(f"{suffix}.gz" for suffix in TEXT), ".parquet")
_UNFINISHED = (".tmp", ".part", ".crdownload")
_CHUNK = 1 << 20
# Object stores name the time of the last change differently; an entity tag serves as well.
_CHANGED = ("mtime", "LastModified", "last_modified", "updated", "created", "ETag", "etag")
# What the readers raise for bytes that are not what the name promises.
_BROKEN = (pa.ArrowException, OSError, EOFError, UnicodeDecodeError, zlib.error)


@dataclass(frozen=True)
class Arrival:
    """A file in the drop zone.

    Args:
        name: how it is called in reports: its path below the drop zone, or its whole address.
        path: its path within `system`.
        size: bytes.
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
        """`csv`, `jsonl`, `ndjson` or `parquet`; compression left out.

        Raises:
            DataError: another extension.
        """
        found = next((suffix for suffix in FORMATS if self.path.lower().endswith(suffix)), None)
        if found is None:
            known = ", ".join(FORMATS)
            raise DataError(f"{self.name}: unknown extension, deliver one of {known}")
        return found.removesuffix(".gz").removeprefix(".")

    @property
    def compressed(self) -> bool:
        """Whether the text is gzipped."""
        return self.path.lower().endswith(".gz")

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The content, decompressed.

        Raises:
            DataError: anything in the block that says that the bytes are no such file.
        """
        try:
            with self.system.open(self.path, "rb") as raw:
                if self.compressed:
                    with gzip.open(raw) as text:
                        yield cast("IO[bytes]", text)
                else:
                    yield raw
        except _BROKEN as error:
            what = " ".join(str(error).split())[:300]
            raise DataError(f"{self.name}: cannot be read as {self.format}, deliver it again ({what})") from error


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
    system, pattern, found = _glob(files if "://" in files else f"{os.fspath(location or '')}/{files}")
    base = _fixed_part(pattern)
    shown = base if "://" in files else str(system._strip_protocol(os.fspath(location or "")))  # noqa: SLF001 - fsspec's only spelling of it
    kept = [(path, info) for path, info in found.items() if info["type"] != "directory" and _finished(path, base)]
    whole = "://" in files
    zone = real_folder(shown) if "file" in _protocols(system) else ""
    return [
        Arrival(
            system,
            path,
            printable(path if whole else _below(path, shown)),
            *_state(path, info),
            obstacle(path, info, zone),
        )
        for path, info in sorted(kept)
    ]


def _glob(address: str) -> "tuple[fsspec.AbstractFileSystem, str, dict[str, dict[str, Any]]]":
    import fsspec

    try:
        system, pattern = fsspec.core.url_to_fs(address)
        return system, pattern, system.glob(pattern, detail=True)
    except Exception as error:  # whatever the client of a store raises
        what = " ".join(str(error).split())[:300] or type(error).__name__
        raise DataError(
            f"files {address!r} cannot be listed, check the address and that its store answers ({what})"
        ) from error


def _protocols(system: "fsspec.AbstractFileSystem") -> tuple[str, ...]:
    return (system.protocol,) if isinstance(system.protocol, str) else tuple(system.protocol)


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


def require_whole(arrival: Arrival) -> None:
    """Refuse what is still being written.

    Raises:
        DataError: no bytes, an unknown extension, a truncated archive, or text without its last newline.
    """
    if arrival.format == "parquet" and arrival.size:
        return  # its footer says so when it is read
    last = ending(arrival) if arrival.size else b""
    if not last:
        raise DataError(f"{arrival.name}: is empty, deliver it again or remove it")
    if not last.endswith(b"\n"):
        raise DataError(
            f"{arrival.name}: its last line does not end, so it may be half-written: "
            "deliver under a temporary name (.part) and rename, and end the last line with a newline"
        )


def ending(arrival: Arrival) -> bytes:
    """The last bytes of the decompressed content, up to four.

    Raises:
        DataError: the file cannot be read to its end.
    """
    last = b""
    with arrival.open() as stream:
        if not arrival.compressed:
            stream.seek(-min(arrival.size, 4), os.SEEK_END)
        while chunk := stream.read(_CHUNK):
            last = (last + chunk)[-4:]
    return last


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
    return int(info["size"] or 0), next((str(info[key]) for key in _CHANGED if info.get(key) is not None), "")


def _fixed_part(pattern: str) -> str:
    parts = PurePosixPath(pattern).parts[:-1]
    magic = next((nr for nr, part in enumerate(parts) if any(sign in part for sign in "*?[{")), len(parts))
    return str(PurePosixPath(*parts[:magic]))


def _below(path: str, base: str) -> str:
    return str(PurePosixPath(path).relative_to(base)) if PurePosixPath(path).is_relative_to(base) else path


def _finished(path: str, base: str) -> bool:
    parts = PurePosixPath(_below(path, base)).parts
    return not any(part.startswith((".", "_")) for part in parts) and not path.lower().endswith(_UNFINISHED)
