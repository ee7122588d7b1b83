"""The tables of the event store, one for each kind of row.

A new kind of row is one NamedTuple and one entry of `EVENTS`; its table is made where it is missing. A *change* of a
table that exists is a revision in `migrations/versions/`, and `VERSION` is the last one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import (
    REAL,
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from ml_assets.decisions.route import CHAMPION
from ml_assets.events.exposures import Exposure, ShadowAnswer, VariantFailure
from ml_assets.events.rows import (
    LONG,
    NAME,
    Kind,
    Outcome,
    Prediction,
    Search,
    Traffic,
)

VERSION = "0002"
"""The layout that this release reads and writes."""

# Constraints are called as Postgres calls them by itself, so that a migration finds them in both databases.
METADATA = MetaData(naming_convention={"uq": "%(table_name)s_%(column_0_N_name)s_key"})
_WHOLE = BigInteger().with_variant(Integer(), "sqlite")
_REAL: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")


def event_table(name: str, *parts: "Column[object] | UniqueConstraint") -> Table:
    """Declare a table in the order of its commits.

    AUTOINCREMENT never gives out again the number of a row that was deleted.
    """
    sequence: Column[object] = Column("sequence", _WHOLE, primary_key=True, autoincrement=True)
    return Table(name, METADATA, sequence, *parts, sqlite_autoincrement=True, sqlite_strict=True)


def _text(name: str, *, nullable: bool = False) -> "Column[object]":
    return Column(name, Text, nullable=nullable)


def _key(name: str, most: int = NAME, *, nullable: bool = False, default: str | None = None) -> "Column[object]":
    """A column of a key; servers of before a column was added write its default."""
    short = CheckConstraint(f"length({name}) <= {most}", name=f"{name}_is_short")
    return Column(name, Text, short, nullable=nullable, server_default=default)


def _whole(name: str) -> "Column[object]":
    return Column(name, _WHOLE, nullable=False)


@dataclass(frozen=True)
class EventKind:
    """A kind of row.

    Args:
        table: of the event store; its columns are `sequence` and the fields of the row, in their order.
        aged_by: the column that says how old a row is, for retention: by the clock of the server that took it.
        log: the name of the table of the lake that takes the rows, below the model's folder.
    """

    table: Table
    aged_by: str
    log: str


EVENTS: Mapping[Kind, EventKind] = {
    Prediction: EventKind(
        event_table(
            "predictions",
            _key("prediction_id"), _key("model"), _text("version"), _text("variant"),
            _key("entity", LONG, nullable=True), _text("as_of", nullable=True),
            Column("score", _REAL, nullable=False), _text("decision", nullable=True),
            _text("features"), _text("missing", nullable=True), _text("stale", nullable=True),
            _whole("requested_at"), _whole("latency"), _text("predicted", nullable=True),
            UniqueConstraint("prediction_id"),
        ),
        aged_by="requested_at", log="prediction_log",
    ),
    Outcome: EventKind(
        event_table(
            "outcomes",
            _key("model"), _key("prediction_id"), _key("kind"), _key("source"), _key("value", 3 * LONG),
            _whole("observed_at"), _whole("received_at"),
            UniqueConstraint("prediction_id", "kind", "source", "observed_at", "value"),
        ),
        aged_by="received_at", log="outcomes",
    ),
    Exposure: EventKind(
        event_table(
            "exposures",
            _key("model"), _key("experiment"), _key("entity", LONG), _key("variant"), _key("prediction_id"),
            _whole("exposed_at"), UniqueConstraint("model", "experiment", "entity", "variant"),
        ),
        aged_by="exposed_at", log="exposures",
    ),
    VariantFailure: EventKind(
        event_table(
            "failures",
            _key("model"), _key("experiment"), _key("entity", LONG), _key("variant"), _key("reason"),
            _text("prediction_id"), _whole("failed_at"),
            UniqueConstraint("model", "experiment", "entity", "variant", "reason"),
        ),
        aged_by="failed_at", log="failures",
    ),
    ShadowAnswer: EventKind(
        event_table(
            "shadows",
            _text("prediction_id"), _key("model"), _key("experiment"), _key("entity", LONG), _text("variant"),
            _key("version"), Column("score", _REAL, nullable=True), _text("decision", nullable=True),
            _text("predicted", nullable=True), _whole("agrees"), _whole("latency"), _text("error", nullable=True),
            _whole("answered_at"), UniqueConstraint("model", "experiment", "entity", "version"),
        ),
        aged_by="answered_at", log="shadows",
    ),
    Search: EventKind(
        event_table(
            "searches",
            _key("prediction_id"), _key("model"), _whole("serial"), _text("query"), _text("filters"), _text("hits"),
            _whole("total"), _whole("requested_at"), _whole("latency"), UniqueConstraint("prediction_id"),
        ),
        aged_by="requested_at", log="searches",
    ),
    Traffic: EventKind(
        event_table(
            "traffic",
            _key("model"), _key("worker"), _whole("since"), _whole("until"), _whole("requests"), _whole("refused"),
            _whole("errors"), _text("latency"), _key("variant", default=CHAMPION),
            UniqueConstraint("model", "worker", "since", "variant"),
        ),
        aged_by="until", log="traffic",
    ),
}  # fmt: skip

# The revision of the layout; Alembic's own table, under a name that MLflow in the same database does not take.
LAYOUT = Table("event_store_version", METADATA, Column("version_num", String(32), primary_key=True))

# Which store this is: sequences of another one, made where this was moved away, begin again at 1.
IDENTITY = Table("identity", METADATA, Column("id", Text, primary_key=True), sqlite_strict=True)

# Up to which sequence the graph has a model's rows of each table, for retention. What makes it exactly once is the
# graph's own record.
EXPORTED = Table(
    "exported",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("sequence", _WHOLE, nullable=False),
    sqlite_strict=True,
)


def insert_sql(kind: Kind, mark: str, rows: int = 1) -> str:
    """SQL that adds rows and leaves alone what is there; `mark` is how the driver writes a parameter.

    `ON CONFLICT` and not `OR IGNORE`: SQLite's `OR IGNORE` also drops rows that break NOT NULL, without a word.
    """
    table = EVENTS[kind].table
    columns = table.c.keys()[1:]  # the sequence is given out
    marks = ", ".join([f"({', '.join([mark] * len(columns))})"] * rows)
    return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES {marks} ON CONFLICT DO NOTHING"
