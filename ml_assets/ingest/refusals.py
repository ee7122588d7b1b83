"""Documents that were not read, and which of them are to be tried again.

The quarantine says of each with which release of the readers it was tried, when the file was first seen, and, in place
of the number of a row in a file, which attempt it was. What the machine's other work may have caused is tried again by
the next ingests, what an older reader refused by a newer one, and everything when somebody asks.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ml_assets.documents.document import READER
from ml_assets.ingest.ledger import quarantine_table
from ml_assets.spec.source import FILE_COLUMN

if TYPE_CHECKING:
    from ml_assets.storage.lake import Lake

ATTEMPTS = 3
"""How often a document is tried by itself that took too long, or too much memory."""

_PASSING = ("timeout", "memory", "crashed")


@dataclass(frozen=True)
class Refusal:
    """What became of an attempt to read a document.

    Args:
        name: of the file.
        bytes: of the file.
        code: of the `UnreadableError`.
        reader: the release of the readers.
        attempt: which one it was, from 1.
        received_at: when the file was first seen, naive UTC in ISO 8601; empty in what older releases wrote.
    """

    name: str
    bytes: int
    code: str
    reader: int = 0
    attempt: int = 1
    received_at: str = ""

    @property
    def due(self) -> bool:
        """Whether it is tried again without being asked for."""
        return self.reader < READER or (self.code in _PASSING and self.attempt < ATTEMPTS)

    @property
    def outlook(self) -> str:
        """What happens next, for people; empty where it is up to them."""
        if self.code not in _PASSING:
            return ""
        if self.attempt < ATTEMPTS:
            return f" (attempt {self.attempt} of {ATTEMPTS}: the next run tries again)"
        return f" (attempt {self.attempt}: it is tried again by `ml-assets data retry`)"

    @property
    def seen(self) -> datetime | None:
        """When the file was first seen."""
        return datetime.fromisoformat(self.received_at) if self.received_at else None

    def to_json(self) -> str:
        """What the quarantine keeps of it."""
        return json.dumps({name: value for name, value in asdict(self).items() if name != "attempt"})


def refusals(lake: "Lake", table: str) -> dict[str, Refusal]:
    """The last refusal of each document in the quarantine of a table, by the SHA-256 of its content."""
    if lake.version(quarantine_table(table)) is None:
        return {}
    sql = f"SELECT {FILE_COLUMN} AS sha, position AS n, row FROM t WHERE contains(row, '\"code\"') ORDER BY n"
    rows = lake.query(sql, t=quarantine_table(table)).to_pylist()
    return {row["sha"]: refusal for row in rows if (refusal := _parsed(row["row"], row["n"]))}


def _parsed(row: str, attempt: int) -> Refusal | None:
    """A refusal; None of a document that was read and does not fit an expectation."""
    try:
        return Refusal(**json.loads(row) | {"attempt": attempt})
    except TypeError:
        return None
