"""Files into the lake, exactly once."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.errors import DataError
from ml_assets.ingest import ledger
from ml_assets.ingest.batch import LoadedFile, commit, load
from ml_assets.ingest.content import BATCH
from ml_assets.ingest.deliveries import Delivery, standing_deliveries
from ml_assets.ingest.expectation_results import blocked_by, totals
from ml_assets.ingest.file_errors import refusal_reason
from ml_assets.ingest.files import Arrival, Identity, arrivals, identify, unread_names
from ml_assets.ingest.history import DeliveryMoment, FileHistory, bound_reach, commit_entry
from ml_assets.ingest.left_files import quarantine_reasons, write_left
from ml_assets.ingest.remedies import unfilled_columns, valueless
from ml_assets.ingest.report import Checked, Ingest, Ingested, Note, SchemaDrift
from ml_assets.ingest.schema import Shape, stored_shape
from ml_assets.storage.timestamps import clock

if TYPE_CHECKING:
    from ml_assets.ingest.documents import Inbox
    from ml_assets.spec.source import SourceSpec
    from ml_assets.storage.lake import Lake

__all__ = ["Checked", "Ingest", "Ingested", "Note", "Progress", "SchemaDrift", "ingest", "ingests"]

Progress = Callable[[int, int, str], None]
"""Called before each file that may be new with: files done, files to do, the file's name."""

_FILES = 500  # of a batch: each is one record in its transaction
_DOCUMENTS = 20  # of a batch: reading one takes seconds, which a crash is not to cost again


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
    (rows that do not fit, with the reason), `<table>_files` (one row for each delivery) and `<table>_left` (files that
    stay where they are, and why). A call that was killed at any moment is repeated by the next one without a row lost
    or doubled. Whatever is raised over a file refuses that file; it does not stop the others. A path that was read
    before and now holds other bytes is refused, or taken as `spec.on_change` says. The first file by name gives a new
    table its columns and types.

    On a local lake two ingests of one table wait for each other. On object storage nothing makes them wait:
    give the asset a Dagster pool of one.

    Args:
        lake: where the tables are.
        table: the table's name: `churn/raw/transactions`.
        spec: the declaration.
        location: the drop zone; may be None where `spec.files` is a URL.
        progress: called for each file.
        now: the time of this delivery, naive UTC; by default the machine's clock says it.
        retry: read every document again that was refused.

    Raises:
        DeclarationError: the declaration contradicts the table, or an expectation cannot be run.
        DataError: the files cannot be listed, or it cannot be told when documents arrived.
        LakeError: another machine ingested the same table at the same time, or this one has no room left; run again.
    """
    with lake.lock(f"ingest/{table}"):
        at = now or clock()
        entries = bound_reach(lake, table, spec, ledger.recover(lake, table), at)
        with closing(_Run(lake, table, spec, entries, at)) as run:
            if spec.read == "documents":
                run.open(location, retry=retry)
            files = arrivals(spec.files, location)
            waiting = run.unknown(files)
            for nr, arrival in enumerate(waiting):
                if progress:
                    progress(nr, len(waiting), arrival.name)
                run.take(arrival)
            run.flush()
            if run.inbox and run.inbox.again:
                ledger.recover(lake, table)  # what is read now was refused before
            run.end()
            return run.report(unread_names(spec.files, location, (arrival.path for arrival in files)))


def ingests(lake: "Lake", table: str, version: int | None = None) -> list[Ingest]:
    """The files that hold rows of a version of a table, in the order of their ingest; empty without a table."""
    return _touched(standing_deliveries(ledger.committed_entries(lake, table, version)).values())


@dataclass
class _Run:
    """One ingest: what is known, and the batch that is being filled."""

    lake: "Lake"
    table: str
    spec: "SourceSpec"
    entries: list[ledger.Entry]
    now: datetime
    refused: list[Note] = field(default_factory=list)
    held_back: list[Note] = field(default_factory=list)
    new: list[ledger.Entry] = field(default_factory=list)
    drift: list[SchemaDrift] = field(default_factory=list)
    waiting: dict[str, None] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    batch: list[LoadedFile] = field(default_factory=list)
    shape: Shape | None = None
    inbox: "Inbox | None" = None

    def __post_init__(self) -> None:
        self.history = FileHistory(self.entries, self.spec)
        self.seen = set(self.history.shown)
        self.opened = ExitStack()
        self.connection = self.opened.enter_context(self.lake.connect())
        self.delivery = DeliveryMoment.begin(self.lake, self.table, self.spec, self.entries, self.now)
        if self.spec.read != "documents" and self.lake.version(self.table) is not None:
            added = [column for entry in self.entries for column in entry.added]
            self.shape = stored_shape(self.lake.schema(self.table), added, self.spec)

    def open(self, location: Path | str | None, *, retry: bool) -> None:
        """Find out what documents are like, when they arrived, and which are read again.

        Raises:
            DeclarationError: the extractor cannot be imported, or the table holds other types.
            DataError: a line of the source's `arrivals` cannot be understood.
        """
        from ml_assets.documents.reader import DocumentReader
        from ml_assets.ingest.arrivals import register
        from ml_assets.ingest.document_rows import DocumentRows
        from ml_assets.ingest.documents import Inbox  # the readers of documents
        from ml_assets.ingest.refusals import refusals

        stored = self.lake.schema(self.table) if self.lake.version(self.table) is not None else None
        rows = DocumentRows.of(self.spec.extract, stored)
        before, known = refusals(self.lake, self.table), register(self.spec, location)
        self.inbox = Inbox(DocumentReader(), rows, self.now, known, before, retry=retry)
        self.shape = rows.shape
        self.seen -= self.inbox.again

    def unknown(self, found: list[Arrival]) -> list[Arrival]:
        """Those that are not, by path, size and time, files that were ingested or taken back."""
        again = self.inbox.again if self.inbox else set()
        return [arrival for arrival in found if not self.history.knows(arrival, again)]

    def take(self, arrival: Arrival) -> None:
        """Read a file into the batch, unless its content is known; a full batch is committed.

        A file that changes the table is a batch of its own: if it is held back, no other was read its way.
        """
        try:
            identity = identify(arrival)
            if identity.sha in self.seen or self.history.takes_back(arrival, identity.sha):
                return
            replaces = self.history.replaces(arrival.name)
            if identity.sha in self.history.hidden:
                self._return(arrival, identity, replaces)
                return
            file = self._load(arrival, identity)
            file.replaces = replaces
        except BaseException as error:  # noqa: BLE001 - whatever a library raises over a file is that file's refusal
            self._refuse(arrival.name, error)
            return
        self._add(identity.sha, file)

    def _add(self, sha: str, file: LoadedFile) -> None:
        self.seen.add(sha)
        changing = file.shape != self.shape
        if changing:
            self.flush()
        self.batch.append(file)
        rows = sum(file.rows.rows + file.bad.rows for file in self.batch)
        most = _DOCUMENTS if self.inbox else _FILES
        if changing or rows >= BATCH or len(self.batch) >= most:
            self.flush()

    def _load(self, arrival: Arrival, identity: Identity) -> LoadedFile:
        if self.inbox is not None:
            return self.inbox.load(arrival, identity)
        return load(arrival, identity, self.shape, self.spec, self.connection, self.now)

    def _return(self, arrival: Arrival, identity: Identity, replaces: str) -> None:
        """A content whose rows were replaced is delivered again: they are seen again from now on."""
        self.flush()
        entry = self.history.redelivery(arrival, identity.sha, replaces, self.delivery.at)
        self.new.append(commit_entry(self.lake, self.table, entry))
        self.seen.add(identity.sha)

    def _refuse(self, name: str, error: BaseException) -> None:
        self.refused.append(Note(name, refusal_reason(name, error)))
        if not isinstance(error, DataError):  # what raised may have left its connection unusable
            self.opened.close()
            self.connection = self.opened.enter_context(self.lake.connect())

    def flush(self) -> None:
        """Judge and commit the batch; where that fails, file by file, so that the culprit is found and named."""
        files, self.batch = self.batch, []
        try:
            self._keep(files)
        except BaseException as error:  # noqa: BLE001 - as in `take`
            refusal_reason("a batch", error)  # raises what is no fault of a file
            for file in self._uncommitted(files):
                self._keep_alone(file)
        finally:
            for file in files:
                file.held.close()

    def _keep_alone(self, file: LoadedFile) -> None:
        try:
            self._keep([file])
        except BaseException as error:  # noqa: BLE001 - as in `take`
            if self._uncommitted([file]):
                self._refuse(file.arrival.name, error)
                self.seen.discard(file.sha)

    def _uncommitted(self, files: list[LoadedFile]) -> list[LoadedFile]:
        """Remove what a commit that failed left behind; it may have failed after its last write, which then counts."""
        if self.lake.version(self.table) == 0:
            self.lake.drop(self.table)  # it was made for the file that failed, and has its columns
        before = {(entry.sha, entry.batch) for entry in (*self.entries, *self.new)}
        committed = [entry for entry in ledger.recover(self.lake, self.table) if (entry.sha, entry.batch) not in before]
        self.new += committed
        return [file for file in files if file.sha not in {entry.sha for entry in committed}]

    def _keep(self, files: list[LoadedFile]) -> None:
        """Commit files; those that a `block` expectation fails are left out."""
        blocked = blocked_by(self.spec, files)
        if passed := [file for file in files if file.sha not in blocked]:
            announced = self.delivery.begin_records()
            self.new += commit(self.lake, self.table, passed, self.spec, self.connection, self.delivery.at, announced)
            self.shape = passed[-1].shape
            self.drift += [verdict for file in passed for verdict in file.drift]
            self.waiting |= dict.fromkeys(column for file in passed for column in file.waiting)
        self.held_back += [Note(f.arrival.name, blocked[f.sha]) for f in files if f.sha in blocked]

    def end(self) -> None:
        """Keep what was left where it is, and that the delivery is complete; make few files of many."""
        write_left(self.lake, self.table, [*self.refused, *self.held_back])
        if self.new:
            self.delivery.end(self.lake, self.table)
            for table in (self.table, ledger.quarantine_table(self.table)):
                self.lake.compact(table)

    def close(self) -> None:
        """Let go of everything."""
        for file in self.batch:
            file.held.close()
        self.opened.close()
        if self.inbox is not None:
            self.inbox.close()

    def _warnings(self) -> tuple[str, ...]:
        fields = self.shape.fields if self.shape else {}
        waiting = [column for column in self.waiting if column not in fields]
        unfilled = self.inbox.rows.unfilled if self.inbox else ()
        return (*([valueless(waiting)] if waiting else []), *([unfilled_columns(unfilled)] if unfilled else []))

    def report(self, beside: tuple[str, ...]) -> Ingested:
        """What this run did, and the state that it leaves; `beside` is what the source's pattern does not match."""
        entries = [*self.entries, *self.new]
        stands = [one.entry for one in standing_deliveries(entries).values()]
        quarantined = sum(entry.quarantined for entry in self.new)
        counted = [entry.sha for entry in self.new] if quarantined else None
        return Ingested(
            table=self.table,
            version=self.lake.version(self.table),
            new_files=tuple(entry.path for entry in self.new),
            accepted=sum(entry.accepted for entry in self.new),
            quarantined=quarantined,
            files=len(stands),
            rows=sum(entry.accepted for entry in stands),
            in_quarantine=sum(entry.quarantined for entry in stands),
            refused=tuple(self.refused),
            held_back=tuple(self.held_back),
            drift=tuple(self.drift),
            warnings=self._warnings(),
            beside=beside,
            expectations=tuple(totals(self.spec, stands)),
            earliest=min((entry.earliest for entry in stands if entry.earliest), default=None),
            latest=max((entry.reached for entry in stands if entry.reached), default=None),
            touched=tuple(_touched(one for one in standing_deliveries(entries).values() if one.entry in self.new)),
            reasons=tuple(quarantine_reasons(self.lake, self.table, counted)),
        )


def _touched(deliveries: "Iterable[Delivery]") -> list[Ingest]:
    return [
        Ingest(one.entry.sha, one.entry.earliest_known, one.entry.latest, one.entry.reached, one.shown)
        for one in deliveries
        if one.entry.earliest_known and one.entry.latest
    ]
