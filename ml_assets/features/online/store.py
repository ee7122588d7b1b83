"""What an online store can do, and which one a URL names."""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ml_assets.errors import OnlineStoreError
from ml_assets.features.online.schema import OnlineRecord, Schema

if TYPE_CHECKING:
    import pyarrow as pa

SQLITE = "sqlite:///"
REDIS = ("redis://", "rediss://", "unix://")


class OnlineStore(Protocol):
    """Records by model and entity. Any number of threads and processes may read and write at once.

    A store belongs to the process that opened it: open another one after a fork. Every method raises
    `OnlineStoreError` where the store does not answer, naming it without its password.
    """

    @property
    def name(self) -> str:
        """What it is and where, without user and password."""

    def write(self, schema: Schema, batches: "Iterable[pa.RecordBatch]", as_of: date) -> int:
        """Replace the records of the entities in `batches`, a few thousand at a time; the rest stands.

        What was written stays written when a later batch fails or the process dies; writing again completes it.

        Args:
            schema: what the records hold.
            batches: the entity (text or integers, neither null nor empty) and every column of the schema.
            as_of: the date that the rows were computed at.

        Returns:
            How many records were written: those that did not stand with a later as-of date.

        Raises:
            DataError: a batch lacks a column, holds other types, or an entity is null or empty.
        """

    def read(self, model: str, entities: Sequence[str]) -> list[OnlineRecord | None]:
        """The record of each entity, in order, as often as it was asked for; None where there is none.

        Raises:
            DataError: an entity is empty, or no text that can be encoded.
            CorruptRecordError: the bytes of a record are not what was written.
            UnknownSchemaError: a record names a schema that the store does not hold.
        """

    def finish(self, schema: Schema, as_of: date) -> None:
        """Say that all records of an as-of date are there; an older date never replaces a newer one."""

    def last_finished(self, model: str) -> date | None:
        """The last as-of date that was finished; None before, or where the store no longer holds its records.

        Redis says None already when the longest TTL has passed since: who then writes again renews what Redis would
        soon forget.
        """

    def loss_reason(self, model: str) -> str | None:
        """Why a record that was written may not be here; None: whom it holds nothing of is not of the population."""

    def sets(self, folder: str) -> list[str]:
        """What the records of a folder are kept under."""

    def forget(self, folder: str) -> None:
        """Delete every record of a folder, whatever it is kept under; may be called again."""

    def ping(self) -> None:
        """Return if the store answers."""

    def close(self) -> None:
        """Give its connections back."""


def open_store(url: str) -> OnlineStore:
    """The store behind `sqlite:///path` (made where there is none), `redis://…`, `rediss://…` or `unix://…`.

    Redis is connected to at the first use.

    Raises:
        OnlineStoreError: the URL is of another kind, or the file cannot be opened.
    """
    if url.startswith(SQLITE):
        from ml_assets.features.online.sqlite import SqliteStore

        return SqliteStore(Path(url.removeprefix(SQLITE)))
    if url.startswith(REDIS):
        from ml_assets.features.online.redis import RedisStore

        return RedisStore(url)
    # The URL is not repeated: it may hold a password.
    raise OnlineStoreError(f"the online store's URL begins with none of {SQLITE}, {', '.join(REDIS)}")
