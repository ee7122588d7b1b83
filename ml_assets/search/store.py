"""Where a search index lies on disk, and which version of it counts.

    <location>/current.json       the table, its version and its embedder that readers use; replaced by a rename
    <location>/lance/             the LanceDB database; a table for each space of vectors
    <location>/embedders/         each embedder by its fingerprint

An update makes many commits in the table, and nobody sees them: readers are pinned to the version that `current.json`
names. It is replaced when the update is whole, so a reader sees the state before or after, and what a killed update
left is undone by the next one.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ml_assets.errors import DataError
from ml_assets.search.embedding import Embedder
from ml_assets.search.index_schema import table_schema
from ml_assets.search.saved_embedder import load
from ml_assets.storage.files import hold_lock, write_whole

if TYPE_CHECKING:
    from lancedb.db import DBConnection
    from lancedb.table import Table


@dataclass(frozen=True)
class Current:
    """What readers use.

    Args:
        serial: counts the updates that changed something.
        table: the name of the table.
        version: of the table.
        embedder: the fingerprint of the embedder whose vectors it holds.
        longest: by column of a list that is filtered by range, the most values that a document has had.
    """

    serial: int
    table: str
    version: int
    embedder: str
    longest: dict[str, int] = field(default_factory=dict)


class SearchStore:
    """The files of one search index; nothing is made before the first update."""

    def __init__(self, location: Path) -> None:
        self.location = location
        self._pointer = location / "current.json"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One writer at a time, also among processes; a killed one lets go."""
        with hold_lock(self.location / ".lock"):
            yield

    def current(self) -> Current | None:
        """What readers use now; None before the first update is whole."""
        try:
            return Current(**json.loads(self._pointer.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise DataError(
                f"{self._pointer} cannot be read ({error}): delete {self.location} and update again"
            ) from error

    def point(self, current: Current) -> None:
        """Let readers use another version, from one moment to the next, also when the power fails."""
        write_whole(self._pointer, json.dumps(asdict(current)), sync=True)

    def connect(self) -> "DBConnection":
        """The database."""
        import lancedb  # a second, and only where something is searched or indexed

        return lancedb.connect(self.location / "lance")

    def open_table(self, current: Current) -> "Table":
        """The table, pinned to its version: what is written later is not seen."""
        table = self.connect().open_table(current.table)
        table.checkout(current.version)
        return table

    def embedder(self, fingerprint: str) -> Embedder:
        """A saved embedder."""
        return load(self._embedder(fingerprint))

    def save(self, embedder: Embedder) -> None:
        """Keep an embedder for readers."""
        path = self._embedder(embedder.fingerprint)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            embedder.save(path)

    def create_table(self, serial: int, embedder: Embedder) -> "Table":
        """A new table for the vectors of an embedder, beside the others."""
        self.save(embedder)
        name = f"documents_{serial}_{embedder.fingerprint[:12]}"
        return self.connect().create_table(name, schema=table_schema(embedder.size))

    def recover_table(self, current: Current) -> tuple["Table", Current]:
        """The table as its readers see it, open for writing: what a killed update wrote since is undone."""
        table = self.connect().open_table(current.table)
        if table.version == current.version:
            return table, current
        table.checkout(current.version)
        table.restore()
        same = Current(**{**asdict(current), "version": table.version})
        self.point(same)  # at once: the version before it may be deleted now
        return table, same

    def delete_unused(self, current: Current | None) -> None:
        """Delete the tables that readers no longer use, and their embedders.

        A table that an update replaces stays until the next update: who reads it then has had time to follow.
        """
        database = self.connect()
        for name in database.list_tables().tables:
            if not current or name != current.table:
                database.drop_table(name)
        for path in self.location.glob("embedders/*"):
            if not current or path.name != f"{current.embedder}.npz":
                path.unlink(missing_ok=True)

    def _embedder(self, fingerprint: str) -> Path:
        return self.location / "embedders" / f"{fingerprint}.npz"
