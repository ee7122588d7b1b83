"""A variant on trial is late by the time that it works, not by the time that a busy machine lets it wait."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from ml_assets.serving.variants.trials import Answered, ThreadWork


def test_waiting_is_not_work() -> None:
    work, over = ThreadWork(), threading.Event()

    def wait() -> Answered:
        over.wait(10)
        return [], []

    assert work.seconds() == 0
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(work.run, wait)
        time.sleep(0.2)
        assert work.seconds() < 0.1
        over.set()
        assert call.result() == ([], [])


def test_work_is_seen_from_another_thread() -> None:
    work, over = ThreadWork(), threading.Event()

    def toil() -> Answered:
        while not over.is_set():
            sum(range(1_000))
        return [], []

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(work.run, toil)
        until = time.monotonic() + 30
        while work.seconds() < 0.05 and time.monotonic() < until:
            time.sleep(0.01)
        over.set()
        assert call.result() == ([], [])
    assert time.monotonic() < until
