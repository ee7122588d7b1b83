"""Reads of the online store by requests: at once where it is a file, together where it is a server."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

from ml_assets.errors import DataError, OnlineStoreError
from ml_assets.events.batching import BatchQueue
from ml_assets.features.online.codec import CorruptRecordError, UnknownSchemaError, require_entities
from ml_assets.features.online.schema import OnlineRecord
from ml_assets.features.online.store import SQLITE, OnlineStore, open_store
from ml_assets.serving.problem import Problem, unavailable

PATIENCE = 5.0
"""Seconds in which a server has to answer; with what its client tries again by itself a read may hang for longer."""

_SILENT = f"the online store has not answered within {PATIENCE:g} s"
_Question = tuple[str, Sequence[str]]  # a feature set, and entities
_Records = list[OnlineRecord | None]


class _LostError(OnlineStoreError):
    """The store answers, and may have lost what it was asked for."""


class Lookups:
    """Records of entities, for one event loop.

    A file answers within microseconds. A server is asked by one thread; what is asked for meanwhile is its next
    question, so a slow network costs a wait and never the event loop.

    Args:
        url: of the online store.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._embedded = url.startswith(SQLITE)
        self._file: object = None
        self._store: OnlineStore | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lookups")
        self._queue: BatchQueue[_Question, _Records] = BatchQueue(
            self._answer, lambda: OnlineStoreError(_SILENT), patience=PATIENCE
        )
        self.trouble: str | None = None
        """The error of the last read; None: it succeeded."""
        self.lost: dict[str, str] = {}
        """Feature set → why records that were written may be missing, as of the last probe."""

    async def read(self, feature_set: str, entities: Sequence[str], field: str) -> _Records:
        """The record of each entity, in order; None where there was never one.

        Args:
            feature_set: under which name they were written.
            entities: whom.
            field: the entity's name, for what is said of a wrong one.

        Raises:
            Problem: a name that nobody can have; or the store does not answer, or may have lost the record.
        """
        try:
            require_entities(entities)
        except DataError as error:
            raise Problem(
                422, "invalid-field", str(error), "send the entity's name", field=f"$.entities.{field}"
            ) from None
        try:
            question = feature_set, entities
            records = self._read_now(question) if self._embedded else await self._queue.ask(question)
        except OnlineStoreError as error:
            if isinstance(error, _LostError):
                self.lost[feature_set] = str(error)
            else:
                self.trouble = str(error)
            raise unavailable(
                "online-store", f"features cannot be read: {error}", "try again, or send instances"
            ) from None
        self.trouble = None
        return records

    async def probe(self, feature_sets: Sequence[str]) -> dict[str, date | None]:
        """As of when each feature set was written; nothing, and `trouble`, if the store does not answer."""
        try:
            if self._embedded:
                self._look()
            question = asyncio.get_running_loop().run_in_executor(self._thread, self._read_states, feature_sets)
            states = await asyncio.wait_for(question, PATIENCE)
        except (OnlineStoreError, TimeoutError) as error:
            self.trouble = str(error) or _SILENT
            return {}
        self.trouble = None
        for name, (_, why) in states.items():
            if why is None:
                self.lost.pop(name, None)
            else:
                self.lost[name] = why
        return {name: as_of for name, (as_of, _) in states.items()}

    def close(self) -> None:
        """Give the store back."""
        self._queue.close()
        self._thread.shutdown(cancel_futures=True)
        if self._store is not None:
            self._store.close()

    async def _answer(self, questions: list[_Question]) -> Sequence[_Records | Exception]:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, questions)
        except Exception as error:  # noqa: BLE001 - a caller that hears nothing waits for ever
            return [OnlineStoreError(str(error))] * len(questions)

    def _read(self, questions: Sequence[_Question]) -> list[_Records | OnlineStoreError]:
        """The answers; a record that cannot be read costs the others another read, not their answer."""
        try:
            return self._read_at_once(questions)
        except (CorruptRecordError, UnknownSchemaError) as error:
            return [error] if len(questions) == 1 else [self._read([question])[0] for question in questions]

    def _read_at_once(self, questions: Sequence[_Question]) -> list[_Records | OnlineStoreError]:
        """The answers, with one read for each feature set."""
        if len(questions) == 1:
            return [self._check_loss(questions[0][0], self._open().read(*questions[0]))]
        by_feature_set: dict[str, dict[str, OnlineRecord | None]] = {}
        for name in {feature_set for feature_set, _ in questions}:
            names = list(dict.fromkeys(one for feature_set, some in questions if feature_set == name for one in some))
            by_feature_set[name] = dict(zip(names, self._open().read(name, names), strict=True))
        return [
            self._check_loss(feature_set, [by_feature_set[feature_set][entity] for entity in entities])
            for feature_set, entities in questions
        ]

    def _read_now(self, question: _Question) -> _Records:
        (records,) = self._read_at_once([question])
        if isinstance(records, OnlineStoreError):
            raise records
        return records

    def _check_loss(self, feature_set: str, records: _Records) -> _Records | OnlineStoreError:
        """The records; where one is missing that may have been lost, why: no client is to blame for that."""
        why = self._open().loss_reason(feature_set) if None in records else None
        return records if why is None else _LostError(why)

    def _read_states(self, feature_sets: Sequence[str]) -> dict[str, tuple[date | None, str | None]]:
        store = self._open()
        store.ping()
        return {name: (store.last_finished(name), store.loss_reason(name)) for name in feature_sets}

    def _look(self) -> None:
        """Let go of a file that was moved away: who has it open would read it for ever.

        Called by the event loop, as embedded reads are: none is under way.
        """
        store, self._store = self._store, None
        if store is not None and self._identity() == self._file:
            self._store = store
        elif store is not None:
            store.close()
        self._open()

    def _open(self) -> OnlineStore:
        if self._store is None:
            if self._file is not None and self._identity() is None:  # a new one would say that nobody is known
                raise OnlineStoreError(f"{self._url.removeprefix(SQLITE)} has gone: restore it, or run the loop")
            self._store = open_store(self._url)
            self._file = self._identity()
        return self._store

    def _identity(self) -> object:
        """Which file it is; None where there is none, or it is a server."""
        if not self._embedded:
            return None
        try:
            stat = Path(self._url.removeprefix(SQLITE)).stat()
        except OSError:
            return None
        return stat.st_dev, stat.st_ino
