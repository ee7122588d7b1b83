"""Predictions beside clients that hold connections: unfinished heads, silent connections, uploads that trickle."""

import asyncio
import json
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure, figures
from benchmarks.process import Measured, call, say
from ml_assets_tests.serving import papers, released
from ml_assets_tests.serving.process import Server, serving

_RATE = 200.0  # predictions of others a second
_HEAD = b"POST /models/m/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: "
_PIECE = 2048  # bytes of an upload that come at once
_PAUSE = 0.1  # seconds until the next ones
_WHOLE, _ENDLESS = 60 * _PIECE, 1 << 20  # bytes of uploads that are done in 6 s, and of those that time cuts off
_BODIES = [json.dumps({"instances": [{"total spend": number / 8, "n": number, "plan": "pro"}]}) for number in range(8)]


def measure(quick: bool) -> list[Figure]:
    """A minute alone, and a minute beside 1,000 half-open connections and 100 slow uploads."""
    seconds, heads, uploads = (3.0, 100, 10) if quick else (60.0, 1000, 100)
    with tempfile.TemporaryDirectory(prefix="doors-") as name:
        data = Path(name)
        released.release(data)
        papers.release(data)
        with serving(data) as server:
            alone = _predictions(server, data, seconds)
            say(f"alone: {alone['p99']:.1f} ms; now beside {heads} half-open connections and {uploads} uploads")
            with ThreadPoolExecutor(1) as thread:
                wanted = {"heads": heads, "uploads": uploads, "seconds": seconds + 4}
                holding = thread.submit(call, "doors:hold", data, port=server.port, **wanted)
                beside = _predictions(server, data, seconds, after=3)
            held = holding.result()
    return _figures(alone, beside, held, f"{heads:,} half-open connections, {uploads} slow uploads", promised=not quick)


def _predictions(server: Server, data: Path, seconds: float, after: float = 0) -> Measured:
    """What those see who ask as always, so many seconds from now."""
    asked = {"path": f"/models/{released.MODEL}/predict", "bodies": _BODIES, "rate": _RATE, "seconds": seconds}
    return call("doors:predict", data, port=server.port, after=after, acknowledged=str(data / "ids"), **asked)


def _figures(alone: Measured, beside: Measured, held: Measured, name: str, *, promised: bool) -> list[Figure]:
    most, none = (50.0, 0.0) if promised else (None, None)
    said = ", ".join(f"{count} × {status}" for status, count in sorted(held["answers"].items()))
    return [
        figures(f"p50 of predictions beside {name}; the peer: without them", "ms", [beside["p50"]], [alone["p50"]]),
        figures(f"p99 of predictions beside {name}; the peer: without them", "ms", [beside["p99"]], [alone["p99"]]),
        figures(f"p99 of predictions beside {name}", "ms", [beside["p99"]], limit=most),
        figures(f"longest of predictions beside {name}", "ms", [beside["longest"]]),
        figures("predictions that failed", f"of {beside['answered']:,}", [beside["errors"]], limit=none),
        figures(f"connections that were held, on average; what was said to them: {said}", "", [held["held"]]),
    ]


# --- in processes of their own


def predict(after: float, **asked: Any) -> dict[str, Any]:  # noqa: ANN401 - of `serve_rate.constant`
    """Send predictions at a constant rate, once those who hold connections have them."""
    import time

    from benchmarks.serve_rate import constant

    time.sleep(after)
    return constant(**asked)


def hold(port: int, heads: int, uploads: int, seconds: float) -> dict[str, Any]:
    """Hold connections to 127.0.0.1; whoever is cut off comes again at once."""
    crowd = _Crowd(port)
    asyncio.run(crowd.run(heads, uploads, seconds))
    return {"held": crowd.held, "answers": crowd.answers}


class _Crowd:
    """Clients that never finish, or take their time."""

    def __init__(self, port: int) -> None:
        self.answers: Counter[str] = Counter()
        self.held = 0.0
        self._port = port
        self._open = 0

    async def run(self, heads: int, uploads: int, seconds: float) -> None:
        """All of them, until the time is over."""
        clients = [
            _Slow(_HEAD, b"x", 1.0, 1 << 16) if number % 2 else _Slow(b"", b"", 1.0, 0) for number in range(heads)
        ]
        clients += [_upload(_WHOLE if number % 2 else _ENDLESS) for number in range(uploads)]
        tasks = [asyncio.create_task(self._again(client)) for client in clients]
        looks = int(seconds)
        for _ in range(looks):
            await asyncio.sleep(1)
            self.held += self._open / looks
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _again(self, client: "_Slow") -> None:
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                self._open += 1
                try:
                    said = await client.ask(reader, writer)
                    self.answers[said[9:12].decode() if said else "closed"] += 1
                finally:
                    self._open -= 1
                    writer.close()


@dataclass(frozen=True)
class _Slow:
    """What one client sends.

    Args:
        begin: at once.
        piece: again and again.
        pause: seconds between two pieces.
        size: bytes of all pieces.
    """

    begin: bytes
    piece: bytes
    pause: float
    size: int

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """The beginning of the answer; nothing where the connection was closed without one."""
        answer, left = asyncio.ensure_future(reader.read(1 << 12)), self.size
        writer.write(self.begin)
        while left > 0 and not answer.done():
            await asyncio.wait([answer], timeout=self.pause)
            writer.write(self.piece[:left])
            left -= len(self.piece)
        return await answer


def _upload(size: int) -> _Slow:
    head = f"POST /models/{papers.MODEL}/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n"
    begin = f"{head}Content-Length: {size}\r\n\r\n".encode()
    return _Slow(begin, (b"Lease of a flat " * (_PIECE // 16))[:_PIECE], _PAUSE, size)
