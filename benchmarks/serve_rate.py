"""Open-loop load: a request is due when the clock says so, whatever the server does, and is late from then on.

A closed loop (wrk) sends nothing while a server stands still, so its percentiles do not see how many would have waited.
Here they do. The due requests share keep-alive connections; one that finds none free waits, and that counts.
"""

import asyncio
import re
import sqlite3
import time
from array import array
from collections import deque
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from benchmarks.serve_load import CONNECTIONS

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_BEHIND = 64  # requests that are sent at a stretch before answers are looked at
_LAST = 30  # seconds that the last answers have


def lost(events: Path, acknowledged: Path) -> int:
    """How many acknowledged predictions the event store does not hold.

    Args:
        events: the SQLite file of the event store.
        acknowledged: one prediction id a line.
    """
    with closing(sqlite3.connect("")) as found, acknowledged.open() as lines:
        found.execute("ATTACH ? AS store", (str(events),))
        found.execute("CREATE TABLE acknowledged (id TEXT PRIMARY KEY) WITHOUT ROWID")
        found.executemany("INSERT INTO acknowledged VALUES (?)", ((line.rstrip("\n"),) for line in lines))
        absent = "SELECT count(*) FROM acknowledged WHERE id NOT IN (SELECT prediction_id FROM store.predictions)"
        return int(found.execute(absent).fetchone()[0])


# --- in a process of its own


def constant(
    port: int, path: str, bodies: Sequence[str], rate: float, seconds: float, acknowledged: str
) -> dict[str, Any]:
    """Send `rate` requests a second to 127.0.0.1; every prediction id of an answer is a line of `acknowledged`."""
    import uvloop

    requests = [_request(port, path, body) for body in bodies]
    with Path(acknowledged).open("w") as ids:
        run = _Run(requests, ids)
        uvloop.run(run.go(port, rate, int(rate * seconds)))
    taken = sorted(run.taken)
    return {
        "answered": len(taken),
        "errors": run.errors,
        "p50": 1000 * taken[len(taken) // 2] if taken else 0,
        "p99": 1000 * taken[len(taken) * 99 // 100] if taken else 0,
        "longest": 1000 * taken[-1] if taken else 0,
    }


class _Answer(msgspec.Struct):
    prediction_id: str


class _Answers(msgspec.Struct):
    predictions: list[_Answer]


class _Run:
    """All requests of a run: those that are due and wait, and what became of those that were sent."""

    def __init__(self, requests: list[bytes], ids: IO[str]) -> None:
        self.taken = array("d")
        self.errors = 0
        self._requests = requests
        self._ids = ids
        self._free: list[_Connection] = []
        self._due: deque[tuple[int, float]] = deque()
        self._open = 0
        self._left = 0
        self._done = asyncio.Event()
        self._decoder = msgspec.json.Decoder(_Answers)

    async def go(self, port: int, rate: float, count: int) -> None:
        """Send all, and wait for the answers; what has none in the end is an error."""
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            await loop.create_connection(lambda: _Connection(self), "127.0.0.1", port)
        # The loop's own clock counts whole milliseconds.
        self._left, started = count, time.perf_counter()
        for number in range(count):
            if not self._open:
                break
            due = started + number / rate
            if (ahead := due - time.perf_counter()) > 0 or number % _BEHIND == 0:
                await asyncio.sleep(max(ahead, 0))
            self._due.append((number, due))
            self.send()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._done.wait(), _LAST if self._open else 0)
        self.errors = count - len(self.taken)

    def send(self) -> None:
        """Send what is due on the connections that are free."""
        while self._due and self._free:
            number, due = self._due.popleft()
            self._free.pop().send(self._requests[number % len(self._requests)], due)

    def opened(self, connection: "_Connection") -> None:
        """One more connection."""
        self._open += 1
        self.free(connection)

    def free(self, connection: "_Connection") -> None:
        """A connection can take the next request."""
        self._free.append(connection)
        self.send()

    def answered(self, status: bytes, body: bytes, late: float) -> None:
        """A whole answer, so many seconds after it was due."""
        if status == b"200":
            self.taken.append(late)
            self._ids.write(f"{self._decoder.decode(body).predictions[0].prediction_id}\n")
        self._count()

    def lost(self, connection: "_Connection", *, asked: bool) -> None:
        """The server has closed a connection; nobody opens it again."""
        self._open -= 1
        if connection in self._free:
            self._free.remove(connection)
        if asked:
            self._count()

    def _count(self) -> None:
        self._left -= 1
        if not self._left:
            self._done.set()


class _Connection(asyncio.Protocol):
    """One connection, with at most one request under way."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._transport: Any = None
        self._due = -1.0
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready."""
        self._transport = transport
        self._run.opened(self)

    def send(self, request: bytes, due: float) -> None:
        """Send a request that was due at a time of `perf_counter`."""
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Part of an answer, or all of it."""
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        length = _LENGTH.search(head) if found else None
        if length is None or len(body) < int(length[1]):
            return
        late = time.perf_counter() - self._due
        self._read, self._due = b"", -1.0
        self._run.answered(head[9:12], body, late)
        self._run.free(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the signature of a protocol
        """No more answers."""
        self._run.lost(self, asked=self._due >= 0)


def _request(port: int, path: str, body: str) -> bytes:
    content = body.encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content
