"""A shop whose predictions stand: to make those of seven as-of dates takes half a second."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_assets_tests.conftest import Tiny
from ml_assets_tests.monitoring.answered import Answered, answering
from ml_assets_tests.monitoring.predicted import Predicted, weeks


@pytest.fixture(scope="session")
def scored_shop(stocked_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stocked shop with predictions of seven as-of dates up to `AS_OF`; nobody writes to it."""
    shop = Tiny(Path(shutil.copytree(stocked_shop, tmp_path_factory.mktemp("scored") / "shop")))
    Predicted(shop).score(weeks(*range(-6, 1)))
    return shop.root


@pytest.fixture
def scored(tmp_path: Path, scored_shop: Path) -> Predicted:
    """A copy of it; labels of dates up to `AS_OF` less two weeks are mature, as in every shop of these orders."""
    shop = Tiny(Path(shutil.copytree(scored_shop, tmp_path / "scored")))
    shop.delivered = 1
    return Predicted(shop)


@pytest.fixture
def answered(scored: Predicted, tmp_path: Path) -> Iterator[Answered]:
    """That copy, with an event store for what it answers online."""
    with answering(scored, tmp_path) as found:
        yield found
