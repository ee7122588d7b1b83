"""Which deliveries of a table stand, and since when each is seen: what follows from its ledger."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ml_assets.ingest.ledger import Entry


@dataclass(frozen=True)
class Visibility:
    """When the rows of a delivery are seen, by the end of an as-of window: after `since`, up to and including `until`.

    None leaves it open. Whatever else hides a row (its event time, when it was known) hides it as well.
    """

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, end: datetime) -> bool:
        """Whether a window that ends at `end` (exclusive) sees the rows."""
        return (self.since is None or self.since < end) and (self.until is None or end <= self.until)


ALWAYS = (Visibility(),)
"""Of a file that neither replaced another nor was replaced."""


@dataclass(frozen=True)
class Delivery:
    """A file whose rows are in the table.

    Args:
        entry: of the ledger, when its rows came.
        shown: when they are seen.
        by: what took its place; empty where nothing did, and it is what the path holds now.
        attempts: how often it was read; more than once only where it was refused.
    """

    entry: "Entry"
    shown: tuple[Visibility, ...] = ALWAYS
    by: str = ""
    attempts: int = 1

    def holds(self, end: datetime) -> bool:
        """Whether a window that ends at `end` (exclusive) sees the rows."""
        return any(interval.holds(end) for interval in self.shown)


def standing_deliveries(entries: "Iterable[Entry]") -> dict[str, Delivery]:
    """The deliveries that were not taken back, by content, in the order of their ingest."""
    standing: dict[str, Delivery] = {}
    for entry in entries:
        if entry.undone:
            standing.pop(entry.sha, None)
            standing |= {sha: _reopened(one) for sha, one in standing.items() if one.by == entry.sha}
            continue
        for sha in filter(None, entry.replaces.split(",")):
            if sha in standing and sha != entry.sha:
                standing[sha] = _closed(standing[sha], entry)
        standing[entry.sha] = _opened(standing.get(entry.sha), entry)
    return standing


def at_path(entries: "Sequence[Entry]") -> "dict[str, Entry]":
    """The last entry of each path."""
    return {entry.path: entry for entry in entries}


def _closed(one: Delivery, entry: "Entry") -> Delivery:
    *before, last = one.shown
    return replace(one, shown=(*before, Visibility(last.since, entry.delivered)), by=entry.sha)


def _reopened(one: Delivery) -> Delivery:
    *before, last = one.shown
    return replace(one, shown=(*before, Visibility(last.since)), by="")


def _opened(before: Delivery | None, entry: "Entry") -> Delivery:
    since = (Visibility(entry.delivered),) if entry.replaces else ALWAYS
    if before is None:
        return Delivery(entry, since)
    if not before.entry.accepted:  # refused then, and read again
        return Delivery(entry, since, attempts=before.attempts + 1)
    return replace(before, shown=(*before.shown, Visibility(entry.delivered)), by="")
