"""A server in this process, of a model that is small enough to know by heart; and event stores."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ml_assets.settings import Settings
from ml_assets_tests.event_stores import postgres, postgres_url, small_disk, sqlite_url, store, url
from ml_assets_tests.serving import released
from ml_assets_tests.serving.served import Served

__all__ = ["postgres", "postgres_url", "served", "small_disk", "sqlite_url", "store", "url"]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    released.release(tmp_path)
    recent = datetime.now(UTC).date()
    released.write(Settings(data=tmp_path).online_url, {"c1": (0.5, 1, "pro"), "c2": (None, 2, "basic")}, recent)
    made = Served(tmp_path)
    with made.client:
        yield made
