"""A scene for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_assets_tests.conftest import Tiny
from ml_assets_tests.rollouts.scene import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path, Tiny(tmp_path).folder())
    yield made
    made.store.close()
