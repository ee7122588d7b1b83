"""Connections that carry hostile requests to a server, side by side, and the faults of its answers."""

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from benchmarks.fuzz.answers import MalformedAnswerError, answers
from benchmarks.fuzz.mutation import Chance, chance
from benchmarks.fuzz.requests import HttpRequest, Requests, on_the_wire

PATIENCE = 2.0
"""Seconds without a byte after which a connection is given up: what was sent may be half a request."""

SLOW = 20.0
"""Seconds that a request which is right may take; the reader of a document has fifteen."""


@dataclass
class Findings:
    """What a run has found.

    Args:
        sent: connections' worth of requests.
        kinds: answers by status and type.
        faults: what is wrong, each kind once, with the bytes that brought it.
        refused: connections that were not accepted.
    """

    sent: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    faults: dict[str, bytes] = field(default_factory=dict)
    refused: int = 0

    def fault(self, what: str, sent: bytes) -> None:
        """Keep one."""
        self.faults.setdefault(what, sent)


async def attack(port: int, requests: Requests, seed: object, until: float, callers: int = 12) -> Findings:
    """Ask until a time of `time.monotonic`."""
    found = Findings()
    tasks = [_caller(port, requests, (seed, number), until, found) for number in range(callers)]
    await asyncio.gather(*tasks, _control(port, until, found))
    return found


async def _caller(port: int, requests: Requests, seed: object, until: float, found: Findings) -> None:
    number = 0
    while time.monotonic() < until:
        number += 1
        by = chance((seed, number))
        await _once(port, requests, by, found)


async def _once(port: int, requests: Requests, by: Chance, found: Findings) -> None:
    several = [requests.bad(by) for _ in range(by.choice((1, 1, 1, 2, 5)))]
    wire = on_the_wire(by, several)
    bare = any(request.method == "HEAD" for request in several)
    if bare:
        several, wire = several[:1], HttpRequest("HEAD", several[0].target).framed()
    got = await exchanged(port, wire, len(several), bare=bare)
    if got is None:
        found.refused += 1
        return
    found.sent += 1
    try:
        for answer in answers(got, bare=bare):
            found.kinds[answer.kind()] += 1
            if what := answer.fault(bare=bare):
                found.fault(what, wire)
            requests.learn(answer.body)
    except MalformedAnswerError as error:
        found.fault(f"an answer that is no HTTP: {error}", wire)


async def exchanged(
    port: int, wire: bytes, wanted: int, *, bare: bool = False, patience: float = PATIENCE
) -> bytes | None:
    """What comes back on a connection of its own; None where it was not accepted."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return None
    got = b""
    try:
        writer.write(wire)
        with suppress(TimeoutError, OSError, MalformedAnswerError):
            while len(tuple(answers(got, bare=bare))) < wanted:
                some = await asyncio.wait_for(reader.read(1 << 20), patience)
                if not some:
                    break
                got += some
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return got


_RIGHT = HttpRequest(
    "POST", "/models/churn/predict", (("Content-Type", "application/json"),),
    b'{"instances": [{"total spend": 0.5, "n": 1, "plan": "pro"}]}',
)  # fmt: skip


async def _control(port: int, until: float, found: Findings) -> None:
    """Once a second somebody asks rightly, and is answered rightly."""
    while time.monotonic() < until:
        began = time.monotonic()
        got = await exchanged(port, _RIGHT.framed(), 1, patience=SLOW)
        given = [*answers(got or b"")]
        if len(given) != 1 or given[0].fault() or given[0].status not in {200, 503}:
            kinds = [answer.kind() for answer in given]
            found.fault(f"a request that is right gets {kinds or got!r} after {time.monotonic() - began:.1f} s", b"")
        await asyncio.sleep(1)
