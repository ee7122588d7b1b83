"""A shop whose training set stands: most tests of training need one, and to build it takes half a second."""

import shutil
from pathlib import Path

import pytest

from ml_assets.training.dataset import build
from ml_assets_tests.conftest import AS_OF, Tiny


@pytest.fixture(scope="session")
def built_shop(stocked_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stocked shop after a build at `AS_OF`; nobody writes to it."""
    copied = Tiny(Path(shutil.copytree(stocked_shop, tmp_path_factory.mktemp("built") / "shop")))
    build(copied.lake, copied.folder(), AS_OF)
    return copied.root


@pytest.fixture
def prepared(built_shop: Path, tmp_path: Path) -> Tiny:
    """A copy of it: a build of the same rows computes nothing, and one with another query only what reads it."""
    copied = Tiny(Path(shutil.copytree(built_shop, tmp_path / "prepared")))
    copied.delivered = 1
    return copied
