"""Reads of the online store by requests: at once where it is a file, together where it is a server."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import NamedTuple

from ml_assets.errors import DataError, OnlineStoreError
from ml_assets.features.codec import require_entities
from ml_assets.features.online import SQLITE, OnlineStore, Record, open_store
from ml_assets.serving.problem import Problem, unavailable


class _Asked(NamedTuple):
    feature_set: str
    entities: Sequence[str]
    answer: "asyncio.Future[list[Record | None]]"


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
        self._store: OnlineStore | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lookups")
        self._asked: list[_Asked] = []
        self._drain: asyncio.Task[None] | None = None
        self.trouble: str | None = None
        """Why the last read failed; None: it did not."""

    async def read(self, feature_set: str, entities: Sequence[str], field: str) -> list[Record | None]:
        """The record of each entity, in order; None where there is none.

        Args:
            feature_set: under which name they were written.
            entities: whom.
            field: the entity's name, for what is said of a wrong one.

        Raises:
            Problem: a name that nobody can have; or the store does not answer.
        """
        try:
            require_entities(entities)
        except DataError as error:
            raise Problem(
                422, "invalid-field", str(error), "send the entity's name", field=f"$.entities.{field}"
            ) from None
        try:
            found = (
                self._read([(feature_set, entities)])[0]
                if self._embedded
                else await self._together(feature_set, entities)
            )
        except OnlineStoreError as error:
            self.trouble = str(error)
            raise unavailable(
                "online-store", f"features cannot be read: {error}", "try again, or send instances"
            ) from None
        self.trouble = None
        return found

    async def probe(self, feature_sets: Sequence[str]) -> dict[str, date | None]:
        """As of when each feature set was written; nothing, and `trouble`, if the store does not answer."""
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, self._written, feature_sets)
        except OnlineStoreError as error:
            self.trouble = str(error)
            return {}
        self.trouble = None
        return found

    def close(self) -> None:
        """Give the store back."""
        self._thread.shutdown()
        if self._store is not None:
            self._store.close()

    async def _together(self, feature_set: str, entities: Sequence[str]) -> list[Record | None]:
        loop = asyncio.get_running_loop()
        asked = _Asked(feature_set, entities, loop.create_future())
        self._asked.append(asked)
        if self._drain is None:
            self._drain = loop.create_task(self._answer_all())
        return await asked.answer

    async def _answer_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._asked:
                some, self._asked = self._asked, []
                questions = [(asked.feature_set, asked.entities) for asked in some]
                try:
                    answers = await loop.run_in_executor(self._thread, self._read, questions)
                except Exception as error:  # noqa: BLE001 - a caller that hears nothing waits for ever
                    _tell(some, OnlineStoreError(str(error)))
                else:
                    _tell(some, answers)
        finally:
            self._drain = None

    def _read(self, questions: Sequence[tuple[str, Sequence[str]]]) -> list[list[Record | None]]:
        """The answers, with one read for each feature set."""
        if len(questions) == 1:
            return [self._opened().read(*questions[0])]
        found: dict[str, dict[str, Record | None]] = {}
        for name in {feature_set for feature_set, _ in questions}:
            wanted = list(dict.fromkeys(one for feature_set, some in questions if feature_set == name for one in some))
            found[name] = dict(zip(wanted, self._opened().read(name, wanted), strict=True))
        return [[found[feature_set][entity] for entity in entities] for feature_set, entities in questions]

    def _written(self, feature_sets: Sequence[str]) -> dict[str, date | None]:
        self._opened().ping()
        return {name: self._opened().written(name) for name in feature_sets}

    def _opened(self) -> OnlineStore:
        if self._store is None:
            self._store = open_store(self._url)
        return self._store


def _tell(some: Sequence[_Asked], answers: Sequence[list[Record | None]] | OnlineStoreError) -> None:
    """Answer all who still wait."""
    for i, asked in enumerate(some):
        if asked.answer.done():
            continue
        if isinstance(answers, OnlineStoreError):
            asked.answer.set_exception(answers)
        else:
            asked.answer.set_result(answers[i])
