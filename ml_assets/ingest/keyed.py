"""A table whose rows have keys."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Keyed:
    """A table, and the columns that place its rows in time and tell them apart."""

    table: str
    event_time: str
    known_at: str | None
    key: tuple[str, ...]
