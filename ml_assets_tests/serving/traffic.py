"""Events to write, and a process that writes them: `python -m ml_assets_tests.serving.traffic URL CALLERS SECONDS`.

The process prints the id of each prediction as soon as its record was acknowledged, one write to the pipe each.
"""

import asyncio
import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from ml_assets.events.exposures import Exposure
from ml_assets.events.journal import Journal
from ml_assets.events.rows import Event, Outcome, Prediction, Traffic, outcome, prediction_id
from ml_assets.events.store import EventStore
from ml_assets.events.writer import Writer

NOW = 1_760_000_000_000_000
FEATURES = '{"orders":12,"mean_amount":19.5,"days_since":3.25,"kind":"a","tickets":0,"plan":"monthly"}'
_NUMBERS = count(1)


def named(name: str, model: str = "churn") -> str:
    """A well-formed id, the same for the same name."""
    digits = uuid.uuid5(uuid.NAMESPACE_URL, name).hex
    return f"{model}.{digits[:8]}-{digits[8:12]}-7{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


def prediction(
    entity: str = "42", *, score: float = 0.25, at: int = NOW, identity: str = "", model: str = "churn"
) -> Prediction:
    """A prediction, by default with an id of its own."""
    return Prediction(
        identity or prediction_id(model, time.time_ns()), model, "7", "champion", entity, "2026-08-30",
        score, "keep", FEATURES, None, '["engagement"]', at, 180,
    )  # fmt: skip


def exposure(entity: str, variant: str = "champion", *, at: int = NOW) -> Exposure:
    """An exposure in one experiment."""
    return Exposure("churn", "letters", entity, variant, "p", at)


def truth(identity: str, value: float | str = 1.0, *, observed: int = NOW, received: int = NOW) -> Outcome:
    """A label, received now."""
    return outcome(identity, "label", value, observed_at=observed, received_at=received + next(_NUMBERS))


def minute(worker: str = "a", *, since: int = NOW, model: str = "churn", latency: str = "[]") -> Traffic:
    """What a worker saw in a minute."""
    return Traffic(model, worker, since, since + 60_000_000, 100, 3, 1, latency)


@contextmanager
def writing(store: EventStore) -> Iterator[Writer]:
    """A writer of the store, closed afterwards."""
    writer = store.writer()
    try:
        yield writer
    finally:
        writer.close()


def write(store: EventStore, *rows: Event) -> None:
    """Rows in one transaction."""
    with writing(store) as writer:
        writer.write(rows)


async def crowd(journal: Journal, callers: int, seconds: float, *, say: bool = False) -> int:
    """So many callers, each of which records one prediction after the other; how many were acknowledged."""
    until = time.monotonic() + seconds

    async def caller(number: int) -> int:
        done = 0
        while time.monotonic() < until:
            row = prediction(f"{os.getpid()}-{number}-{done}")
            await journal.record(row)
            done += 1
            if say:
                os.write(1, f"{row.prediction_id}\n".encode())
        return done

    return sum(await asyncio.gather(*(caller(number) for number in range(callers))))


async def _main(url: str, callers: int, seconds: float) -> None:
    with EventStore(url) as store:
        async with Journal(store.writer()) as journal:
            await crowd(journal, callers, seconds, say=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
