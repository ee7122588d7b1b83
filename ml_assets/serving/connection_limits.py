"""Limits of a worker's connections, and which are closed when more come."""

import asyncio
import math
from contextlib import suppress
from typing import Protocol, Self
from weakref import WeakKeyDictionary

from uvicorn.server import ServerState

PATIENCE = 10.0
"""Seconds that a client has for a head, also of one that never begins."""

STALLED = 30.0
"""Seconds in which a client has to take something of an answer that does not fit into the network's buffers."""

MOST = 10_000
"""Connections of a worker; fewer where it may have fewer descriptors."""

HEADS = 32 << 20
"""Bytes of all heads that are not finished."""

QUEUED = 10_000
"""Requests that were sent before the one before them was answered, of all connections."""

_LOOK = 1.0  # seconds between two looks at the clocks of all
_DESCRIPTORS = 0.75  # share of them that connections may take; files, stores and children need some as well
_SHARE = 8  # an eighth goes at a time, so that to look for the oldest costs little for each


class HeldConnection(Protocol):
    """A connection, as the limits see it."""

    since: float | None
    stalled: float | None
    closing: bool

    def idle_since(self) -> float | None:
        """The time of the loop since which it has sent no request; None: one is in hand."""

    def time_out(self) -> None:
        """Its time is over."""

    def end(self) -> None:
        """Close, or where that was done and the client does not take the rest, cut."""


class ConnectionLimits:
    """The connections of one worker.

    When it is full, those go that have asked nothing for the longest time: unfinished heads, or idle ones, which a
    client has to open again in any case. So nobody keeps others out by holding connections.

    Args:
        state: of uvicorn; it knows the connections.
        loop: whose clock counts.
    """

    def __init__(self, state: ServerState, loop: asyncio.AbstractEventLoop) -> None:
        self.queued = 0
        """Requests that wait for the one before them."""
        self.heads = 0
        """Bytes of heads that are not finished."""
        self._guests: set[HeldConnection] = state.connections  # type: ignore[assignment]  # uvicorn names its own classes
        self._loop = loop
        self._spare = 0
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def of_server(cls, state: ServerState, loop: asyncio.AbstractEventLoop) -> Self:
        """The limits of a server, which its connections share."""
        if state not in _OF_SERVERS:
            _OF_SERVERS[state] = cls(state, loop)
        return _OF_SERVERS[state]  # type: ignore[return-value]

    def enter(self) -> bool:
        """Tell whether a new connection may stay; others may be closed for it."""
        if self._timer is None:
            self._timer = self._loop.call_later(_LOOK, self._look)
        if len(self._guests) <= capacity():
            self._spare = 0
            return True
        if not self._spare:
            self._spare = self.make_room()
        if not self._spare:
            return False
        self._spare -= 1
        return True

    def make_room(self) -> int:
        """Close those connections that have been idle for the longest time; return how many."""
        waiting = [(since, guest) for guest in self._guests if not guest.closing and (since := guest.idle_since())]
        waiting.sort(key=lambda each: each[0])
        gone = waiting[: math.ceil(len(waiting) / _SHARE)]
        for _, guest in gone:
            guest.end()
        return len(gone)

    def _look(self) -> None:
        now = self._loop.time()
        for guest in tuple(self._guests):
            if guest.since is not None and now - guest.since > PATIENCE:
                guest.time_out()
            elif guest.stalled is not None and now - guest.stalled > STALLED:
                guest.end()
            elif guest.closing and guest.since is None:
                guest.since = now
        self._timer = self._loop.call_later(_LOOK, self._look) if self._guests else None


def capacity() -> int:
    """Connections that a worker holds."""
    try:
        import resource
    except ImportError:  # on Windows, where sockets are no descriptors
        return MOST
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if most == resource.RLIM_INFINITY else min(MOST, int(_DESCRIPTORS * most))


def raise_descriptors() -> None:
    """Let this process and its children have as many descriptors as the machine allows, and `MOST` connections need."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        needed = math.ceil(MOST / _DESCRIPTORS)
        if now != resource.RLIM_INFINITY and now < needed:
            allowed = needed if most == resource.RLIM_INFINITY else min(needed, most)
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))


_OF_SERVERS: WeakKeyDictionary[ServerState, ConnectionLimits] = WeakKeyDictionary()
