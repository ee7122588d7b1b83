"""A model has files wherever its sources read them: below its own folder, another's, or at any address."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import fsspec
import pytest

from ml_assets.commands.loop import _supply
from ml_assets.errors import DataError
from ml_assets.settings import settings
from ml_assets.spec.source import SourceSpec


@dataclass(frozen=True)
class Declared:
    """A source, or a model, of a folder."""

    spec: SourceSpec
    path: Path


@dataclass(frozen=True)
class Shop:
    """A project of one model, `shop`, with one source."""

    source: Declared

    def sources(self, _: str) -> list[Declared]:
        return [self.source]

    def model(self, _: str) -> Declared:
        return self.source


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("ML_ASSETS_DATA", str(tmp_path / "data"))
    settings.cache_clear()
    (tmp_path / "data" / "incoming" / "other" / "orders").mkdir(parents=True)
    (tmp_path / "archive").mkdir()
    yield tmp_path
    settings.cache_clear()


def supplied(data: Path, files: str) -> None:
    spec = SourceSpec(name="orders", files=files, event_time="at")
    _supply(cast("Any", Shop(Declared(spec, data))), "shop")


PLACES = ["shop/orders/*.csv", "other/orders/*.csv", "file://{}/archive/*.csv", "memory://bin/*.csv"]


@pytest.mark.parametrize("where", PLACES)
def test_a_model_is_run_where_any_of_its_sources_has_a_file(data: Path, where: str) -> None:
    files = where.format(data)
    with pytest.raises(DataError, match=r"shop has no files below .*\): deliver some"):
        supplied(data, files)
    if where.startswith("memory"):
        fsspec.filesystem("memory").pipe("/bin/a.csv", b"at\n")
    else:
        folder = Path(files.removeprefix("file://")) if "://" in files else data / "data" / "incoming" / files
        folder.parent.mkdir(parents=True, exist_ok=True)
        (folder.parent / "a.csv").write_text("at\n")
    supplied(data, files)


def test_a_store_that_does_not_answer_is_left_to_the_ingest_which_names_it(data: Path) -> None:
    supplied(data, "nowhere://archive/*.csv")
