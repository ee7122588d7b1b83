"""A process that opens event stores: `python -m ml_assets_tests.events.migrating killed|together URL`.

`killed`: opens the store in a fork that ends itself before its first statement, then its second, and so on until one
lives to the end; prints how many were killed. `together`: opens it in four forks at once; prints how many migrated.
"""

import os
import signal
import sys
import time
from collections.abc import Callable

from sqlalchemy import Engine, event

from ml_assets.events import migrations
from ml_assets.events.store import EventStore


def _fork(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - a fork may not go on with what its parent does
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
        os._exit(0)
    return child


def _die_before(number: int) -> None:
    """End this process, without a word, before its statement of that number."""
    seen = 0

    def count(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)


def _open(url: str) -> None:
    with EventStore(url, patience=10) as store:
        store.ping()


def killed(url: str) -> int:
    number = 0
    while True:
        number += 1

        def work(number: int = number) -> None:
            _die_before(number)
            _open(url)

        _, status = os.waitpid(_fork(work), 0)
        if not os.WIFSIGNALED(status):
            assert os.waitstatus_to_exitcode(status) == 0
            return number - 1


def together(url: str) -> int:
    begin, (reading, writing) = time.time() + 0.3, os.pipe()
    migrate = migrations.migrate

    def work() -> None:
        def told(connection: object) -> None:
            os.write(writing, b"m")
            migrate(connection)  # type: ignore[arg-type]

        migrations.migrate = told
        time.sleep(max(0.0, begin - time.time()))
        _open(url)

    for child in [_fork(work) for _ in range(4)]:
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
    os.close(writing)
    return len(os.read(reading, 100))


if __name__ == "__main__":
    print({"killed": killed, "together": together}[sys.argv[1]](sys.argv[2]))  # noqa: T201 - its answer
