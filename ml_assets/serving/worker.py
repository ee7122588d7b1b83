"""One process of the server: it starts its services, follows what is released, and ends them."""

import asyncio
import multiprocessing
import os
import signal
from contextlib import suppress

from ml_assets.serving.health import PARTS, Health
from ml_assets.serving.metrics import forget_dead
from ml_assets.serving.services import Services
from ml_assets.serving.traffic import TrafficCounter
from ml_assets.settings import Settings

TICK = 0.25
"""Seconds between two looks at what the follower wrote: a part of the two seconds that a rollback may take."""

_PROBE = 8  # ticks between two questions to the stores


class Worker:
    """The life of one process."""

    def __init__(self, settings: Settings) -> None:
        self.services = Services(settings)
        self.traffic = TrafficCounter(self.services)
        self.health = Health(self.services)
        parent = multiprocessing.parent_process()
        self._parent = os.getppid() if parent is None else parent.pid  # it may have died since
        self._ticking: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load what is released and go on following it."""
        forget_dead()
        self.services.recorder.start()
        await self._tick()
        await self._probe()
        self._ticking = asyncio.create_task(self._tick_on())

    async def stop(self) -> None:
        """Write what waits and give everything back."""
        for task in (self._ticking, self._probing):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        await self.traffic.write(force=True)
        await self.services.close()

    async def _tick_on(self) -> None:
        number = 0
        while True:
            await asyncio.sleep(TICK)
            number += 1
            with self.health.record_faults("following"):
                await self._tick()
            # What a store takes to answer, a new release or a token that was removed does not wait for.
            if number % _PROBE == 0 and (self._probing is None or self._probing.done()):
                self._probing = asyncio.create_task(self._probe())

    async def _tick(self) -> None:
        if os.getppid() != self._parent:  # nobody would stop this process any more
            os.kill(os.getpid(), signal.SIGTERM)
        await self.services.models.follow()
        self.services.guard.reload()
        degraded = self.health.degraded_parts()
        for part in PARTS:
            self.services.metrics.set_degraded(part, now=part in degraded)

    async def _probe(self) -> None:
        """Ask the stores whether they answer; while the event store does not, every pending minute is a probe."""
        services = self.services
        with self.health.record_faults("asking"):
            sets = [model.manifest.feature_set for model in services.models.variants()]
            services.features_as_of = await services.lookups.probe(sets)
            await self.traffic.write(force=services.recorder.trouble is not None)
