"""Whatever a Postgres could not do for a while it does again for the same process, and nobody has to start it anew."""

from contextlib import suppress

import pytest
from sqlalchemy import text

from ml_assets.events.rows import EventRefusedError, EventStoreError, Prediction
from ml_assets.events.store import EventStore
from ml_assets.events.writer import PostgresWriter
from ml_assets_tests.event_stores import Postgres
from ml_assets_tests.serving.traffic import prediction, writing

STATES = {
    "read-only": (
        "ALTER ROLE {role} SET default_transaction_read_only = on",
        "ALTER ROLE {role} RESET default_transaction_read_only",
    ),
    "without rights": (
        "REVOKE INSERT, UPDATE ON ALL TABLES IN SCHEMA {schema} FROM {role}",
        "GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {role}",
    ),
    "shut": ("ALTER ROLE {role} NOLOGIN", "ALTER ROLE {role} LOGIN"),
    "moved away": ("ALTER SCHEMA {schema} RENAME TO {schema}_away", "ALTER SCHEMA {schema}_away RENAME TO {schema}"),
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_a_postgres_is_written_to_again_by_the_next_write(postgres: Postgres, name: str) -> None:
    """As after a failover behind a pooler: a connection that was made meanwhile stays as it was made."""
    cause, end = STATES[name]
    with EventStore(postgres.url, patience=1.0) as store, writing(store) as writer:
        writer.write([prediction("before")])
        store.mark_exported(Prediction, "churn", 1)
        postgres.do(cause)
        postgres.cut()
        for _ in range(2):
            with pytest.raises(EventStoreError) as caught:
                writer.write([prediction("lost")])
            assert not isinstance(caught.value, EventRefusedError)
            with pytest.raises(EventStoreError):
                store.mark_exported(Prediction, "churn", 2)
        postgres.do(end)
        writer.write([prediction("after")])
        store.mark_exported(Prediction, "churn", 3)
        assert store.exported_until(Prediction, "churn") == 3
        assert [row.entity for row in store.read_since(Prediction, 0, 9, model="churn").rows] == ["before", "after"]


def test_tables_that_are_gone_are_made_anew(postgres: Postgres) -> None:
    with EventStore(postgres.url) as store, writing(store) as writer:
        writer.write([prediction("before")])
        postgres.do("DROP SCHEMA {schema} CASCADE")
        postgres.do("CREATE SCHEMA {schema} AUTHORIZATION {role}")
        writer.write([prediction("after")])
        assert [row.entity for row in store.read_since(Prediction, 0, 9, model="churn").rows] == ["after"]


def test_an_event_that_is_refused_costs_no_connection(postgres: Postgres) -> None:
    with EventStore(postgres.url) as store, writing(store) as writer:
        assert isinstance(writer, PostgresWriter)
        numbers = set()
        for entity in ("a", "b\x00", "c"):
            with suppress(EventRefusedError):
                writer.write([prediction(entity)])
            with writer._engine.connect() as connection:
                numbers.add(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
        assert len(numbers) == 1
