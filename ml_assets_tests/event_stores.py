"""Event stores to test with: a file of SQLite, a schema of its own in a real Postgres, a disk that is soon full."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from ml_assets.events.store import EventStore

SERVER = "postgresql://postgres@127.0.0.1:5432/test"


@dataclass(frozen=True)
class Postgres:
    """A role and a schema of a test's own.

    Args:
        url: of the role.
        role: its name, and the schema's.
        owner: who may do to it what happens to databases.
    """

    url: str
    role: str
    owner: Engine

    def do(self, sql: str) -> None:
        """A statement of the owner's."""
        with self.owner.connect() as connection:
            connection.execute(text(sql.format(role=self.role, schema=self.role)))

    def cut(self) -> None:
        """End the role's connections."""
        self.do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/events.db"


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """A URL whose tables nobody else sees."""
    server = os.environ.get("ML_ASSETS_TEST_POSTGRES", SERVER)
    schema = f"events_{uuid.uuid4().hex}"
    engine = create_engine(
        make_url(server).set(drivername="postgresql+psycopg"),
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": 3},
    )
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
    except OperationalError as error:
        engine.dispose()
        pytest.skip(f"no Postgres answers where ML_ASSETS_TEST_POSTGRES or its default points: {error.orig}")
    yield f"{server}?options={quote(f'-csearch_path={schema}')}"
    with engine.connect() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Postgres]:
    """A role whose rights and connections are a test's own."""
    server = make_url(postgres_url).set(query={}, drivername="postgresql+psycopg")
    role = f"events_{uuid.uuid4().hex[:12]}"
    owner = create_engine(server, isolation_level="AUTOCOMMIT")
    url = server.set(username=role, password=role, drivername="postgresql").render_as_string(hide_password=False)
    made = Postgres(url, role, owner)
    made.do("CREATE ROLE {role} LOGIN PASSWORD '{role}'")
    try:
        made.do("CREATE SCHEMA {schema} AUTHORIZATION {role}")
        made.do("ALTER ROLE {role} SET search_path = {schema}")
        yield made
    finally:
        made.do("DROP SCHEMA {schema} CASCADE")
        made.do("DROP OWNED BY {role}")
        made.do("DROP ROLE {role}")
        owner.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """Each kind of store."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture
def store(url: str) -> Iterator[EventStore]:
    with EventStore(url, patience=30.0) as opened:  # a busy machine is no store that is away
        yield opened


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of three megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)
