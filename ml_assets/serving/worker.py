"""One process of the server: the champions that it holds, its stores, and how they are."""

import asyncio
import logging
import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ml_assets.events.guarded_writer import open_writer
from ml_assets.events.journal import Journal
from ml_assets.events.rows import Event, EventRefusedError, EventStoreError
from ml_assets.events.store import EventStore
from ml_assets.redaction import redacted
from ml_assets.serving.auth import Authenticator, mark
from ml_assets.serving.document_features import DocumentFeatures
from ml_assets.serving.lanes import Lanes
from ml_assets.serving.metrics import Metrics, Minutes, forget_dead
from ml_assets.serving.models.loading import LoadedModels
from ml_assets.serving.models.lookups import Lookups
from ml_assets.serving.models.releases import Releases
from ml_assets.serving.problem import Problem, unavailable
from ml_assets.serving.tokens import Tokens
from ml_assets.settings import Settings

if TYPE_CHECKING:
    from ml_assets.search.index import SearchIndex

_LOG = logging.getLogger("ml_assets.serving")

TICK = 0.5
"""Seconds between two looks at what the follower wrote."""

_PROBE = 4  # ticks between two questions to the stores


class Worker:
    """What the requests of one process share.

    Args:
        settings: paths and URLs.
    """

    def __init__(self, settings: Settings) -> None:
        self.guard = Authenticator(Tokens(settings.tokens), mark())
        self.releases = Releases.at(settings.data)
        self.metrics = Metrics()
        self.lookups = Lookups(settings.online_url)
        self.desk = DocumentFeatures()
        self.lanes = Lanes()
        self._search = settings.search
        self._indexes: dict[str, SearchIndex] = {}
        self._store = settings.event_store_url
        self.events = EventStore(self._store)
        self.loaded = LoadedModels(self.releases, self.lookups)
        self.routes = self.loaded.routes
        self.model = self.loaded.model
        self.written: dict[str, Any] = {}
        """Feature set → as of when the online store holds it."""
        self._logged = settings.log_predictions
        self._journal: Journal | None = None
        self._faults: dict[str, str] = {}
        self._unrecorded: str | None = None
        self._minutes = Minutes()
        parent = multiprocessing.parent_process()
        self._parent = os.getppid() if parent is None else parent.pid  # it may have died since
        self._ticking: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load what is released and go on following it."""
        forget_dead()
        self._journal = Journal(open_writer(self.events, self._store))
        await self._tick()
        await self._ask()
        self._ticking = asyncio.create_task(self._tick_on())

    async def stop(self) -> None:
        """Write what waits and give everything back."""
        for task in (self._ticking, self._asking):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        await self._tell(force=True)
        await self.journal.close()
        self.lookups.close()
        self.desk.close()
        self.lanes.close()
        self.events.close()

    @property
    def journal(self) -> Journal:
        """Where events are written."""
        if self._journal is None:
            raise RuntimeError("the worker has not been started")
        return self._journal

    def index(self, name: str) -> "SearchIndex":
        """The search index of a model's documents; it follows what the graph writes."""
        if name not in self._indexes:
            from ml_assets.search.index import SearchIndex  # LanceDB: only where something is searched

            self._indexes[name] = SearchIndex(self._search / name)
        return self._indexes[name]

    async def predicted(self, rows: list[Any]) -> None:
        """Record predictions; afterwards nothing can lose them.

        Raises:
            Problem: they are not recorded, so they may not be answered.
        """
        if self._logged:
            await self.record(rows)

    async def record(self, rows: list[Event]) -> None:
        """Record events.

        Raises:
            Problem: they are not recorded.
        """
        try:
            await self.journal.record(*rows)
        except EventRefusedError as error:
            _LOG.warning("%s", error)  # a client is not told where the store is
            raise Problem(
                422, "refused", "the event store cannot hold a row of this request, so none was answered",
                "send one row at a time; the server's log says what the store refused", field="$",
            ) from None  # fmt: skip
        except EventStoreError as error:
            self._unrecorded = str(error)
            raise unavailable("event-store", f"nothing is answered that cannot be recorded: {error}") from None

    def count(self, route: str, name: str, status: int, seconds: float) -> None:
        """One request that was answered."""
        self.metrics.answered(route, name, status, seconds)
        if known := self.routes.get(name):
            self._minutes.of(name, known.default.variant).count(status, seconds)

    def health(self) -> dict[str, str]:
        """What does not work, by part, and why; nothing where all is well."""
        parts = {
            "registry": self.loaded.registry_trouble(),
            "online_store": self.lookups.trouble or self._lost(),
            "event_store": self._event_store(),
            "tokens": self.guard.trouble,
            "worker": "; ".join(self._faults.values()),
        }
        return {part: redacted(why) for part, why in (self.loaded.troubles() | parts).items() if why}

    def unready(self) -> str | None:
        """Why no request shall be sent here; None: they may."""
        if not self.routes:
            why = "; ".join(f"{name}: {trouble}" for name, trouble in self.loaded.refused().items())
            return f"no model can be loaded: {why}" if why else "no model is released yet"
        return self.guard.trouble or self._event_store()

    def _lost(self) -> str | None:
        """Why an entity's features may be missing through nobody's fault."""
        sets = {model.manifest.feature_set for model in self.loaded.defaults()}
        return "; ".join(why for name, why in self.lookups.lost.items() if name in sets) or None

    def _event_store(self) -> str | None:
        """Why events are not written. While a write hangs, only those who gave up waiting can tell."""
        return self.journal.written.trouble or self._unrecorded

    async def _tick_on(self) -> None:
        number = 0
        while True:
            await asyncio.sleep(TICK)
            number += 1
            with self._noting("following"):
                await self._tick()
            # What a store takes to answer, a new release or a token that was removed does not wait for.
            if number % _PROBE == 0 and (self._asking is None or self._asking.done()):
                self._asking = asyncio.create_task(self._ask())

    @contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        """Go on whatever happens: a worker that no longer follows would answer with old models, and say nothing."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - said by /health
            self._faults[what] = f"{what}: {type(error).__name__}: {error}"
        else:
            self._faults.pop(what, None)

    async def _tick(self) -> None:
        if os.getppid() != self._parent:  # nobody would stop this process any more
            os.kill(os.getpid(), signal.SIGTERM)
        self.guard.look()
        await self.loaded.follow()
        degraded = self.health()
        for part in ("registry", "online_store", "event_store", "tokens"):
            self.metrics.degraded(part, now=part in degraded)

    async def _ask(self) -> None:
        with self._noting("asking"):
            self.written = await self.lookups.probe([model.manifest.feature_set for model in self.loaded.defaults()])
            await self._tell(force=self._event_store() is not None)

    async def _tell(self, *, force: bool) -> None:
        """Write down the minutes that are over; in trouble all of them, as a question whether writing works again."""
        if untold := self._minutes.over(next(iter(self.routes), None), force=force):
            try:
                await self.journal.record(*untold)
            except EventStoreError as error:
                self._unrecorded = str(error)
                return
            self._unrecorded = None
            self._minutes.forget(len(untold))
