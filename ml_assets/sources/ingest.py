"""Files into the lake, exactly once."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.errors import DataError
from ml_assets.sources import ledger
from ml_assets.sources.batch import Loaded, commit, load
from ml_assets.sources.content import BATCH
from ml_assets.sources.files import Arrival, Identity, arrivals, beside, identify
from ml_assets.sources.report import Checked, Drift, Ingest, Ingested, Note
from ml_assets.sources.schema import Shape, stored_shape

if TYPE_CHECKING:
    import duckdb

    from ml_assets.lake import Lake
    from ml_assets.sources.documents import Inbox
    from ml_assets.sources.spec import Expectation, SourceSpec

__all__ = ["Checked", "Drift", "Ingest", "Ingested", "Note", "Progress", "ingest", "ingests"]

Progress = Callable[[int, int, str], None]
"""Called before each file that may be new with: files done, files to do, the file's name."""

_FILES = 500  # of a batch: each is one record in its transaction
_DOCUMENTS = 20  # of a batch: reading one takes seconds, which a crash is not to cost again
_EXAMPLES = 3


def ingest(
    lake: "Lake",
    table: str,
    spec: "SourceSpec",
    location: Path | str | None,
    progress: Progress | None = None,
    *,
    now: datetime | None = None,
    retry: bool = False,
) -> Ingested:
    """Bring every new file of a source into the lake: each content once, whatever its name.

    Writes `table` (accepted rows and `_file`, the SHA-256 of the file they came from), `<table>_quarantine`
    (rows that do not fit, with the reason) and `<table>_files` (one row for each file). A call that was
    killed at any moment is repeated by the next one without a row lost or doubled. A file that cannot be
    used is reported and stays where it is; it does not stop the others. The first file by name gives a new
    table its columns and types.

    On a local lake two ingests of one table wait for each other. On object storage nothing makes them wait:
    give the asset a Dagster pool of one.

    Args:
        lake: where the tables are.
        table: the table's name: `churn/raw/transactions`.
        spec: the declaration.
        location: the drop zone; may be None where `spec.files` is a URL.
        progress: called for each file.
        now: naive UTC: when a document arrives that is seen for the first time; needed of documents only.
        retry: read every document again that was refused.

    Raises:
        DeclarationError: the declaration contradicts the table, or an expectation cannot be run.
        DataError: it cannot be told when documents arrived.
        LakeError: another machine ingested the same table at the same time; run again.
    """
    with lake.lock(f"ingest/{table}"), lake.connect() as connection:
        run = _Run(lake, table, spec, connection, ledger.recover(lake, table))
        with closing(run):
            if spec.read == "documents":
                run.open(location, now, retry=retry)
            found = arrivals(spec.files, location)
            waiting = run.unknown(found)
            for nr, arrival in enumerate(waiting):
                if progress:
                    progress(nr, len(waiting), arrival.name)
                run.take(arrival)
            run.flush()
            if run.inbox and run.inbox.again:
                ledger.recover(lake, table)  # what is read now was refused before
            return run.report(beside(spec.files, location, (arrival.path for arrival in found)))


def ingests(lake: "Lake", table: str, version: int | None = None) -> list[Ingest]:
    """The files that hold rows of a version of a table, in the order of their ingest; empty without a table."""
    return _touched(ledger.committed(lake, table, version))


@dataclass
class _Run:
    """One ingest: what is known, and the batch that is being filled."""

    lake: "Lake"
    table: str
    spec: "SourceSpec"
    connection: "duckdb.DuckDBPyConnection"
    entries: list[ledger.Entry]
    refused: list[Note] = field(default_factory=list)
    held_back: list[Note] = field(default_factory=list)
    new: list[ledger.Entry] = field(default_factory=list)
    drift: list[Drift] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    batch: list[Loaded] = field(default_factory=list)
    shape: Shape | None = None
    inbox: "Inbox | None" = None

    def __post_init__(self) -> None:
        self.seen = {entry.sha for entry in self.entries}
        if self.spec.read == "documents":
            from ml_assets.sources.documents import SHAPE

            self.shape = SHAPE
        elif self.lake.version(self.table) is not None:
            added = [column for entry in self.entries for column in entry.added]
            self.shape = stored_shape(self.lake.schema(self.table), added, self.spec)

    def open(self, location: Path | str | None, now: datetime | None, *, retry: bool) -> None:
        """Find out when documents arrived, and which are read again.

        Raises:
            DataError: `now` is missing, or a line of the source's `arrivals` cannot be understood.
        """
        from ml_assets.sources.documents import Inbox  # the readers of documents
        from ml_assets.sources.refusals import refusals
        from ml_assets.sources.register import register
        from ml_assets.text.reader import Reader

        if now is None:
            raise DataError(f"{self.table}: documents arrive when they are first seen, so ingest them with `now`")
        before = refusals(self.lake, self.table)
        self.inbox = Inbox(Reader(), now, register(self.spec, location), before, retry=retry)
        self.seen -= self.inbox.again

    def unknown(self, found: list[Arrival]) -> list[Arrival]:
        """Those that are not, by path, size and time, files that were ingested."""
        known = {(entry.path, entry.size, entry.mtime) for entry in self.entries if entry.sha in self.seen}
        return [arrival for arrival in found if (arrival.name, arrival.size, arrival.mtime) not in known]

    def take(self, arrival: Arrival) -> None:
        """Read a file into the batch, unless its content is known; a full batch is committed.

        A file that changes the table is a batch of its own: if it is held back, no other was read its way.
        """
        try:
            identity = identify(arrival)
            if identity.sha in self.seen:
                return
            file = self._load(arrival, identity)
        except DataError as error:
            self.refused.append(Note(arrival.name, str(error)))
            return
        self.seen.add(identity.sha)
        changing = file.shape != self.shape
        if changing:
            self.flush()
        self.batch.append(file)
        rows = sum(file.rows.rows + file.bad.rows for file in self.batch)
        most = _DOCUMENTS if self.inbox else _FILES
        if changing or rows >= BATCH or len(self.batch) >= most:
            self.flush()

    def _load(self, arrival: Arrival, identity: Identity) -> Loaded:
        if self.inbox is not None:
            return self.inbox.load(arrival, identity)
        return load(arrival, identity, self.shape, self.spec, self.connection)

    def flush(self) -> None:
        """Judge and commit the batch; files that a `block` expectation fails are left out."""
        blocked = self._blocked()
        self.held_back += [Note(f.arrival.name, blocked[f.sha]) for f in self.batch if f.sha in blocked]
        if passed := [file for file in self.batch if file.sha not in blocked]:
            self.new += commit(self.lake, self.table, passed, self.spec, self.connection)
            self.shape = passed[-1].shape
            self.drift += [verdict for file in passed for verdict in file.drift]
            self.warnings += [warning for file in passed for warning in file.warnings]
        self._drop()

    def close(self) -> None:
        """Let go of everything."""
        self._drop()
        if self.inbox is not None:
            self.inbox.close()

    def _drop(self) -> None:
        for file in self.batch:
            file.held.close()
        self.batch = []

    def _blocked(self) -> dict[str, str]:
        """The files of the batch that are held back, by content, and why."""
        if not self.spec.expectations or not self.batch:
            return {}
        # great_expectations takes seconds to import: a run without new files does without it
        from ml_assets.sources.expectations import suite
        from ml_assets.sources.judge import judge, verdict

        built = suite(self.spec, self.batch[-1].shape)
        for file, found in zip(self.batch, judge([file.rows for file in self.batch], built), strict=True):
            file.found = found
        reasons = {file.sha: verdict(self.spec.expectations, file.found) for file in self.batch}
        return {sha: reason for sha, reason in reasons.items() if reason}

    def report(self, beside: tuple[str, ...]) -> Ingested:
        """What this run did, and the state that it leaves; `beside` is what the source's pattern does not match."""
        entries = ledger.latest([*self.entries, *self.new])
        return Ingested(
            table=self.table,
            version=self.lake.version(self.table),
            new_files=tuple(entry.path for entry in self.new),
            accepted=sum(entry.accepted for entry in self.new),
            quarantined=sum(entry.quarantined for entry in self.new),
            files=len(entries),
            rows=sum(entry.accepted for entry in entries),
            in_quarantine=sum(entry.quarantined for entry in entries),
            refused=tuple(self.refused),
            held_back=tuple(self.held_back),
            drift=tuple(self.drift),
            warnings=tuple(self.warnings),
            beside=beside,
            expectations=tuple(_totals(self.spec, entries)),
            earliest=min((entry.earliest for entry in entries if entry.earliest), default=None),
            latest=max((entry.latest for entry in entries if entry.latest), default=None),
            touched=tuple(_touched(self.new)),
        )


def _touched(entries: list[ledger.Entry]) -> list[Ingest]:
    return [
        Ingest(entry.sha, entry.earliest_known, entry.latest)
        for entry in entries
        if entry.earliest_known and entry.latest
    ]


def _totals(spec: "SourceSpec", entries: list[ledger.Entry]) -> Iterator[Checked]:
    """Each declared expectation over the files that were checked against it."""
    results = [json.loads(entry.results) for entry in entries]
    for expectation in spec.expectations:
        yield _total(expectation, [found[expectation.key] for found in results if expectation.key in found])


def _total(expectation: "Expectation", found: list[dict[str, object]]) -> Checked:
    examples = [str(example) for part in found for example in part["examples"]]  # type: ignore[attr-defined]
    return Checked(
        name=expectation.name,
        type=expectation.type,
        severity=expectation.severity,
        kwargs=expectation.kwargs,
        files=len(found),
        failed=sum(not part["success"] for part in found),
        elements=sum(int(str(part["elements"])) for part in found),
        unexpected=sum(int(str(part["unexpected"])) for part in found),
        examples=tuple(examples[:_EXAMPLES]),
    )
