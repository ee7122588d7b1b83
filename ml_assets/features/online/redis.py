"""The online store in Redis: one packed value per entity, read with one MGET, forgotten by Redis itself."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from ml_assets.errors import OnlineStoreError
from ml_assets.features.online.codec import FORMAT, KnownLayouts, Packed, RecordLayout, require_entities, unpack
from ml_assets.features.online.schema import OnlineRecord, Schema, incomplete_reason

if TYPE_CHECKING:
    import pyarrow as pa

# Redis runs a script without a break: the comparison and the write are one. It reads the as-of date where codec.py
# puts it; what is no record of this format is replaced.
_REPLACE = f"""
local written = 0
for i, key in ipairs(KEYS) do
  local kept = redis.call('GETRANGE', key, 0, 4)
  if #kept < 5 or kept:byte(1) ~= {FORMAT} or struct.unpack('<I4', kept, 2) <= tonumber(ARGV[1]) then
    redis.call('SET', key, ARGV[i + 2], 'EX', ARGV[2])
    written = written + 1
  end
end
return written
"""
_FINISH = """
if tonumber(redis.call('GET', KEYS[1]) or 0) <= tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
end
"""
# No colon after `ml_assets`: no key of a record.
_SCHEMA = "ml_assets.schema:{:x}"  # by fingerprint, as JSON
_WRITTEN = "ml_assets.written:{}"  # by model, the ordinal of an as-of date
_EVICTED = "ml_assets.evicted:{}"  # by model, how many keys Redis had evicted when writing began

# Redis answers nobody else during one script: a fraction of a millisecond. Several go out in one pipeline.
_RECORDS_A_SCRIPT = 256
_ENTITIES_AT_ONCE = 1024

_SECONDS_TO_CONNECT = 2.0
_SECONDS_TO_ANSWER = 5.0


class RedisStore:
    """`OnlineStore` over a Redis server of version 6 or later (a primary with replicas; not a cluster)."""

    def __init__(self, url: str) -> None:
        self._client = _client(url)
        self._name = _server(self._client)
        self._known = KnownLayouts(self._load)

    @property
    def name(self) -> str:
        """See `OnlineStore`."""
        return self._name

    def write(self, schema: Schema, batches: "Iterable[pa.RecordBatch]", as_of: date) -> int:
        """See `OnlineStore`; a pipeline for some thousand records."""
        with self._named():
            # Twice as long as the records, which are written after it.
            self._client.set(_SCHEMA.format(schema.fingerprint), schema.to_json(), ex=2 * _seconds(schema.keep))
            self._client.set(_EVICTED.format(schema.model), self._evicted(), ex=2 * _seconds(schema.keep))
        return sum(self._replace(schema, rows, as_of) for rows in RecordLayout.of(schema).pack(batches, as_of))

    def read(self, model: str, entities: Sequence[str]) -> list[OnlineRecord | None]:
        """See `OnlineStore`."""
        require_entities(entities)
        starts = range(0, len(entities), _ENTITIES_AT_ONCE)
        values = chain.from_iterable(self._values(model, entities[i : i + _ENTITIES_AT_ONCE]) for i in starts)
        return [
            None if data is None else unpack(data, entity, self._known)
            for entity, data in zip(entities, values, strict=True)
        ]

    def finish(self, schema: Schema, as_of: date) -> None:
        """See `OnlineStore`."""
        with self._named():
            key, longest = _WRITTEN.format(schema.model), _seconds(schema.keep / 2)
            self._client.eval(_FINISH, 1, key, as_of.toordinal(), longest)

    def last_finished(self, model: str) -> date | None:
        """See `OnlineStore`."""
        with self._named():
            last = self._client.get(_WRITTEN.format(model))
        return None if last is None else date.fromordinal(int(last))

    def loss_reason(self, model: str) -> str | None:
        """See `OnlineStore`. What Redis evicts to make room it says only in a number of its own."""
        if self.last_finished(model) is None:
            return incomplete_reason(self.name, model)
        with self._named():
            before, now = self._client.get(_EVICTED.format(model)), self._evicted()
        if now in {0, int(before or 0)}:  # 0: none since Redis was started
            return None
        return (
            f"{self.name} has evicted keys since {model} was written: give it memory, or maxmemory-policy noeviction; "
            f"the next {model.partition('@')[0]}/online_features writes them anew"
        )

    def sets(self, folder: str) -> list[str]:
        """See `OnlineStore`."""
        with self._named():
            return sorted({key.split(b":")[1].decode() for key in self._keys(folder)})

    def forget(self, folder: str) -> None:
        """See `OnlineStore`; when a set was complete goes first, so that a killed call leaves none that seems so."""
        with self._named():
            for key in self._keys(folder):
                self._client.unlink(key)

    def _evicted(self) -> int:
        """How many keys Redis has evicted since it was started; 0 where this user may not ask."""
        from redis.exceptions import ResponseError

        try:
            return int(self._client.info("stats")["evicted_keys"])
        except (ResponseError, KeyError):
            return 0

    def _keys(self, folder: str) -> Iterator[bytes]:
        """When the sets of a folder were complete, then their records, and what else is known of the sets."""
        for start in (_WRITTEN.format(""), "ml_assets:", _EVICTED.format("")):
            for end in ("@*", ":*") if start == "ml_assets:" else ("@*", ""):
                yield from self._client.scan_iter(f"{start}{folder}{end}", count=_ENTITIES_AT_ONCE)

    def ping(self) -> None:
        """See `OnlineStore`."""
        with self._named():
            self._client.ping()

    def close(self) -> None:
        """See `OnlineStore`."""
        self._client.close()

    def _replace(self, schema: Schema, rows: Packed, as_of: date) -> int:
        prefix = _prefix(schema.model)
        seconds = _seconds(schema.keep)
        with self._named(), self._client.pipeline(transaction=False) as pipeline:
            for start in range(0, len(rows), _RECORDS_A_SCRIPT):
                part = rows[start : start + _RECORDS_A_SCRIPT]
                keys = [prefix + entity.encode() for entity, _ in part]
                values = [data for _, data in part]
                pipeline.eval(_REPLACE, len(part), *keys, as_of.toordinal(), seconds, *values)
            count: int = sum(pipeline.execute())
        return count

    def _values(self, model: str, entities: Sequence[str]) -> list[bytes | None]:
        prefix = _prefix(model)
        keys = [prefix + entity.encode() for entity in entities]
        with self._named():
            # GET takes redis-py a fifth less than an MGET of one.
            values: list[bytes | None] = self._client.mget(keys) if len(keys) > 1 else [self._client.get(keys[0])]
        return values

    def _load(self, fingerprint: int) -> bytes | None:
        with self._named():
            text: bytes | None = self._client.get(_SCHEMA.format(fingerprint))
        return text

    @contextmanager
    def _named(self) -> Iterator[None]:
        from redis.exceptions import RedisError

        try:
            yield
        except (RedisError, OSError) as error:
            raise OnlineStoreError(f"the online store {self._name}: {error}") from error


def _seconds(duration: timedelta) -> int:
    return max(1, round(duration.total_seconds()))


def _prefix(model: str) -> bytes:
    return f"ml_assets:{model}:".encode()


def _client(url: str) -> Any:  # noqa: ANN401 - redis-py's commands are typed as sync or async, either
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    try:
        return Redis.from_url(
            url,
            socket_connect_timeout=_SECONDS_TO_CONNECT,
            socket_timeout=_SECONDS_TO_ANSWER,
            # Once more at once, for a connection that the server had closed; an outage is told, not waited for.
            retry=Retry(NoBackoff(), 1),
        )
    except ValueError:
        pass
    # Neither the URL nor what redis-py says about it is repeated: either may hold a password.
    raise OnlineStoreError("the online store's URL is none of redis://[user:password@]host[:port][/db]")


def _server(client: Any) -> str:  # noqa: ANN401 - as above
    """Where the server is, without user and password."""
    options = client.connection_pool.connection_kwargs
    where = options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
    database = f"/{number}" if (number := options.get("db", 0)) else ""
    return f"redis at {where}{database}"
