"""The tables of the event store, one for each kind of row."""

from collections.abc import Mapping

from sqlalchemy import (
    REAL,
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from ml_assets.events.rows import LONG, NAME, Exposure, Kind, Outcome, Prediction, Search, Traffic

METADATA = MetaData()
_WHOLE = BigInteger().with_variant(Integer(), "sqlite")
_REAL: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")


def _table(name: str, *parts: "Column[object] | UniqueConstraint") -> Table:
    """A table in the order of its commits. AUTOINCREMENT never gives out again the number of a row that was deleted."""
    sequence: Column[object] = Column("sequence", _WHOLE, primary_key=True, autoincrement=True)
    return Table(name, METADATA, sequence, *parts, sqlite_autoincrement=True, sqlite_strict=True)


def _text(name: str, *, nullable: bool = False) -> "Column[object]":
    return Column(name, Text, nullable=nullable)


def _key(name: str, most: int = NAME, *, nullable: bool = False) -> "Column[object]":
    short = CheckConstraint(f"length({name}) <= {most}", name=f"{name}_is_short")
    return Column(name, Text, short, nullable=nullable)


def _whole(name: str) -> "Column[object]":
    return Column(name, _WHOLE, nullable=False)


TABLES: Mapping[Kind, Table] = {
    Prediction: _table(
        "predictions",
        _key("prediction_id"), _key("model"), _text("version"), _text("variant"),
        _key("entity", LONG, nullable=True), _text("as_of", nullable=True),
        Column("score", _REAL, nullable=False), _text("decision", nullable=True),
        _text("features"), _text("missing", nullable=True), _text("stale", nullable=True),
        _whole("requested_at"), _whole("latency"), _text("predicted", nullable=True),
        UniqueConstraint("prediction_id"),
    ),
    Exposure: _table(
        "exposures",
        _key("model"), _key("experiment"), _key("entity", LONG), _key("variant"), _key("prediction_id"),
        _whole("exposed_at"), UniqueConstraint("model", "experiment", "entity", "variant"),
    ),
    Outcome: _table(
        "outcomes",
        _key("model"), _key("prediction_id"), _key("kind"), _key("source"), _key("value", 3 * LONG),
        _whole("observed_at"), _whole("received_at"),
        UniqueConstraint("prediction_id", "kind", "source", "observed_at", "value"),
    ),
    Search: _table(
        "searches",
        _key("prediction_id"), _key("model"), _whole("serial"), _text("query"), _text("filters"), _text("hits"),
        _whole("total"), _whole("requested_at"), _whole("latency"), UniqueConstraint("prediction_id"),
    ),
    Traffic: _table(
        "traffic",
        _key("model"), _key("worker"), _whole("since"), _whole("until"), _whole("requests"), _whole("refused"),
        _whole("errors"), _text("latency"), UniqueConstraint("model", "worker", "since"),
    ),
}  # fmt: skip

# How old a row is, for retention: by the clock of the server that took it.
AGED_BY: Mapping[Kind, str] = {
    Prediction: "requested_at",
    Exposure: "exposed_at",
    Outcome: "received_at",
    Search: "requested_at",
    Traffic: "until",
}

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


def insert(kind: Kind, mark: str, rows: int = 1) -> str:
    """SQL that adds rows and leaves alone what is there; `mark` is how the driver writes a parameter.

    `ON CONFLICT` and not `OR IGNORE`: SQLite's `OR IGNORE` also drops rows that break NOT NULL, without a word.
    """
    columns = kind._fields
    marks = ", ".join([f"({', '.join([mark] * len(columns))})"] * rows)
    return f"INSERT INTO {TABLES[kind].name} ({', '.join(columns)}) VALUES {marks} ON CONFLICT DO NOTHING"
