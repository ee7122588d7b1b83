"""Predictions at a fixed rate, whatever the server does, and what became of each."""

import asyncio
import json
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

_BODIES = (
    ("instances", {"total spend": 0.5, "n": 1, "plan": "pro"}),
    ("entities", {"customer_id": "c1"}),
)
_HEAD = (
    b"POST /models/churn/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n"
)
_CALLERS = 24
_LIMIT = 15.0  # seconds that an answer may take; more is a fault


class SteadyLoad:
    """Requests to one server, instances and entities in turn.

    Args:
        port: on 127.0.0.1.
        rate: a second.
        acknowledged: a file of the ids of all answers.
    """

    def __init__(self, port: int, rate: float, acknowledged: Path) -> None:
        self.port, self.rate = port, rate
        self.kinds: Counter[str] = Counter()
        self.taken: list[tuple[float, float]] = []
        """When each answer of 200 was due, by `time.monotonic`, and how many seconds later it came."""
        self.path = acknowledged
        self._due: asyncio.Queue[tuple[int, float]] = asyncio.Queue()

    async def run(self, until: float) -> None:
        """Ask until a time of `time.monotonic`; what is due then is still answered."""
        with self.path.open("w") as ids:
            callers = [asyncio.create_task(self._caller(ids)) for _ in range(_CALLERS)]
            number, began = 0, time.monotonic()
            while (due := began + number / self.rate) < until:
                await asyncio.sleep(max(due - time.monotonic(), 0))
                self._due.put_nowait((number, due))
                number += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._due.join(), 4 * _LIMIT)
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)

    async def _caller(self, ids: Any) -> None:  # noqa: ANN401 - a file
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while True:
            number, due = await self._due.get()
            try:
                if connection is None:
                    connection = await asyncio.open_connection("127.0.0.1", self.port)
                async with asyncio.timeout(_LIMIT):
                    status, said = await self._asked(*connection, number)
            except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
                self.kinds[type(error).__name__] += 1
                if connection is not None:
                    connection[1].close()
                connection = None
            else:
                self._keep(status, said, due, ids)
            finally:
                self._due.task_done()

    async def _asked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> tuple[int, Any]:
        form, row = _BODIES[number % len(_BODIES)]
        body = json.dumps({form: [row]}).encode()
        writer.write(_HEAD % len(body) + body)
        said = await reader.readuntil(b"\r\n\r\n")
        length = int(said.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        return int(said[9:12]), json.loads(await reader.readexactly(length))

    def _keep(self, status: int, said: Any, due: float, ids: Any) -> None:  # noqa: ANN401 - JSON, a file
        if status != 200:
            self.kinds[f"{status} {said.get('type')}"] += 1
            return
        self.kinds["200"] += 1
        self.taken.append((due, time.monotonic() - due))
        ids.write(f"{said['predictions'][0]['prediction_id']}\n")
