"""A drop zone full of bad files, ingested for real: what stops, what is lost, what takes too long."""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.fuzz.documents import documents
from benchmarks.fuzz.mutation import Chance, chance, name, spoilt
from benchmarks.fuzz.tables import bad, corpus, good
from ml_assets.ingest.files import arrivals, identify
from ml_assets.ingest.ingest import Ingested, ingest
from ml_assets.ingest.listing import list_files
from ml_assets.spec.source import SourceSpec
from ml_assets.storage.duck import memory
from ml_assets.storage.lake import Lake

TABLES = SourceSpec(
    name="orders", files="orders/*", event_time="at", columns={"id": "string", "amount": "double", "note": "string"}
)
PAPERS = SourceSpec(name="papers", files="papers/*", read="documents", event_time="received_at")

_AGAIN = 4  # rounds of one lake


@dataclass
class Endured:
    """What a run has found.

    Args:
        files: that were delivered.
        accepted: rows.
        quarantined: rows.
        refused: files.
        stopped: ingests that raised, each kind once, with the seed of its round.
        lost: rows or files of which nobody knows, or good ones that were not taken.
        longest: seconds of a file, by source.
    """

    files: int = 0
    accepted: int = 0
    quarantined: int = 0
    refused: int = 0
    stopped: dict[str, str] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    longest: dict[str, float] = field(default_factory=dict)


class DropZone:
    """A drop zone and a lake below a folder, made anew every few rounds.

    Args:
        folder: for both.
        seed: of all rounds.
    """

    def __init__(self, folder: Path, seed: object) -> None:
        self._folder, self._seed, self.found = folder, seed, Endured()
        self._outside = folder / "outside.csv"  # where links lead to: a file of ours
        self._round, self._decided = 0, False

    def round(self, tables: int = 24, papers: int = 3) -> None:
        """Deliver so many bad files and one that is good, and ingest them all, twice."""
        by, first = chance((self._seed, self._round)), self._round % _AGAIN == 0
        if first:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir()
            self._outside.write_text("id,at\nsecret,2026-01-01\n")
            (self._folder / "incoming" / "orders").mkdir(parents=True)
            (self._folder / "incoming" / "papers").mkdir()
            # Where a bad file makes the table, the good ones need not fit it: the first file says what all have.
            self._decided = by.random() < 0.7
            if self._decided:
                self._deliver_good(by, "before")
                self._ingested(TABLES, must="before")
        for _ in range(tables):
            one = bad(by)
            self._put(by, b"orders", one.name, one.content)
        self._deliver_good(by, "beside")
        for _ in range(papers):
            self._put(by, b"papers", name(by), _paper(by))
        self._ingested(TABLES, must="beside" if self._decided else "")
        self._ingested(PAPERS)
        self._round += 1

    def _deliver_good(self, by: Chance, word: str) -> None:
        one = good(by, self._round)
        target = self._folder / "incoming" / "orders" / f"{word}-{os.fsdecode(one.name)}"
        target.write_bytes(one.content)
        self.found.files += 1

    def _put(self, by: Chance, folder: bytes, called: bytes, content: bytes) -> None:
        path = os.fsencode(self._folder) + b"/incoming/" + folder + b"/" + called
        with suppress(OSError):  # a name that is too long, or taken
            match by.randrange(40):
                case 0:
                    os.mkfifo(path)
                case 1:
                    os.symlink(path, path)  # noqa: PTH211 - a name of bytes
                case 2:
                    os.symlink(os.fsencode(self._outside), path)  # noqa: PTH211 - the same
                case 3:
                    os.mkdir(path)  # noqa: PTH102 - a name of bytes
                case _:
                    # Never through a link that an earlier round has left: it may point anywhere.
                    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
                    with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor
                        file.write(content)
            self.found.files += 1

    def _ingested(self, spec: SourceSpec, must: str = "") -> None:
        """Ingest a source, look at what became of each file, and ingest it again: nothing is new then."""
        zone, table = self._folder / "incoming", f"fuzz/raw/{spec.name}"
        lake, timed = Lake(str(self._folder / "lake"), memory), _Timed(self.found.longest, spec.name)
        try:
            now = datetime.now(UTC).replace(tzinfo=None)
            done = ingest(lake, table, spec, zone, timed, now=now)
            timed.end()
            again = ingest(lake, table, spec, zone, now=now)
            list_files(spec, zone)
            _told(done)
        except Exception as error:  # noqa: BLE001 - what is looked for
            self._fault(self.found.stopped, f"{spec.name}: {type(error).__name__}: {str(error)[:300]}")
            return
        self.found.accepted += done.accepted
        self.found.quarantined += done.quarantined
        self.found.refused += len(done.refused)
        for what in (*_unaccounted(lake, spec, zone, done), *_new(again)):
            self._fault(self.found.lost, f"{spec.name}: {what}")
        if must and not any(must in path and f"good{self._round}" in path for path in done.new_files):
            said = [note.reason for note in done.refused if "good" in note.file]
            self._fault(self.found.lost, f"the good file was not taken: {said}")

    def _fault(self, kept: dict[str, str], what: str) -> None:
        kept.setdefault(what, f"round {self._round} of seed {self._seed}")


class _Timed:
    """Remembers how long each file took."""

    def __init__(self, longest: dict[str, float], source: str) -> None:
        self._longest, self._source, self._began = longest, source, time.monotonic()

    def __call__(self, _done: int, _all: int, _name: str) -> None:
        self.end()

    def end(self) -> None:
        """The file under way is done."""
        now = time.monotonic()
        self._longest[self._source] = max(self._longest.get(self._source, 0), now - self._began)
        self._began = now


def _told(done: Ingested) -> None:
    """What Dagster is told of it can be written."""
    import dagster as dg
    from dagster import serialize_value

    from ml_assets.components.source import _metadata, _results

    for said in (_metadata(done), *(each.metadata for each in _results(done, []))):
        for value in said.values():
            (value if isinstance(value, str) else serialize_value(dg.MetadataValue.json(str(value)))).encode()


def _unaccounted(lake: Lake, spec: SourceSpec, zone: Path, done: Ingested) -> list[str]:
    """Files of which nobody says what became of them, and rows that are in no table."""
    table, found = f"fuzz/raw/{spec.name}", []
    entries = _entries(lake, table)
    known = {entry["_file"]: entry for entry in entries}
    named = {note.file for note in (*done.refused, *done.held_back)}
    for arrival in arrivals(spec.files, zone):
        if arrival.name in named:
            continue
        if arrival.obstacle:
            found.append(f"{arrival.obstacle} is not named")
        elif identify(arrival).sha not in known:
            found.append("a file is neither taken nor refused")
    stored = _counts(lake, table)
    barred = _counts(lake, f"{table}_quarantine")
    for sha, entry in known.items():
        if (stored.get(sha, 0), barred.get(sha, 0)) != (entry["accepted"], entry["quarantined"]):
            found.append(f"{stored.get(sha, 0)} + {barred.get(sha, 0)} rows are there, said are {entry}")
        if entry["path"].rpartition("/")[2].startswith(("before-good", "beside-good")) and entry["accepted"] != 3:
            found.append(f"a good file has 3 rows, accepted are {entry['accepted']}")
    return found


def _entries(lake: Lake, table: str) -> list[dict[str, Any]]:
    if lake.version(f"{table}_files") is None:
        return []
    found: list[dict[str, Any]] = lake.query("SELECT * FROM t", t=f"{table}_files").to_pylist()
    last = {entry["_file"]: entry for entry in found}
    return [*last.values()]


def _counts(lake: Lake, table: str) -> dict[str, int]:
    if lake.version(table) is None:
        return {}
    rows = lake.query("SELECT _file AS sha, count(*) AS n FROM t GROUP BY ALL", t=table).to_pylist()
    return {row["sha"]: row["n"] for row in rows}


def _new(again: Ingested) -> list[str]:
    return [f"{len(again.new_files)} files are new at the second look"] if again.new_files else []


def _paper(by: Chance) -> bytes:
    """A document, spoilt most of the time."""
    others = [path.read_bytes() for path in corpus()] if by.random() < 0.5 else []
    content = by.choice([*documents(), *others])
    return content if by.random() < 0.1 else spoilt(by, content)


Look = Callable[[], None]
"""Called after each round."""


def endure(folder: Path, seed: int, seconds: float, look: Look) -> Endured:
    """Rounds for some seconds."""
    zone, until = DropZone(folder, seed), time.monotonic() + seconds
    while time.monotonic() < until:
        zone.round()
        look()
    return zone.found
