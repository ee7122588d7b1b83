"""A Postgres of our own in a temporary folder, which may be stopped, cut and made read-only."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.process import BenchmarkError
from benchmarks.serve_process import free_port

_WRITES = "-c default_transaction_read_only=off"


class Cluster:
    """A cluster of Postgres.

    Args:
        folder: its data, which belongs to whom it runs as.
        port: on 127.0.0.1.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port

    @property
    def url(self) -> str:
        """Of its one database."""
        return f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self._port} -k {self._folder} -c listen_addresses=127.0.0.1"
        self._run("pg_ctl", "start", "-w", "-D", str(self._folder), "-o", options, "-l", str(self._folder / "log"))

    def stop(self) -> None:
        """End it at once, as a crash does."""
        self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self._folder))

    def make(self) -> None:
        """Make its files."""
        self._run("initdb", "-U", "postgres", "-A", "trust", "-D", str(self._folder))

    def read_only(self, *, now: bool) -> None:
        """Let new sessions refuse every write, and end all others; or let new ones take them, and end none.

        As after a failover behind a pooler: a session that began read-only stays so.
        """
        self.ask(f"ALTER DATABASE postgres SET default_transaction_read_only = {'on' if now else 'off'}")
        if now:
            self.cut()

    def cut(self) -> None:
        """End all connections but ours."""
        self.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of a statement, each by a connection of its own."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True, options=_WRITES) as connection:
            found = connection.execute(sql)
            return found.fetchall() if found.description else []

    def _run(self, name: str, *arguments: str) -> None:
        command = [str(_programs() / name), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise BenchmarkError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")


@contextmanager
def cluster() -> Iterator[Cluster]:
    """One that answers, as long as it is used."""
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    made = Cluster(folder, free_port())
    try:
        made.make()
        made.start()
        yield made
    finally:
        if (folder / "postmaster.pid").exists():
            made.stop()
        shutil.rmtree(folder)


def _programs() -> Path:
    """Where `initdb` and `pg_ctl` are: Debian keeps them off the path."""
    found = shutil.which("pg_ctl")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not places:
        raise BenchmarkError("no Postgres is installed: `apt-get install postgresql`")
    return places[-1]
