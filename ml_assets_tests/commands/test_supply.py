"""A model has files wherever its sources read them: below its own folder, another's, or at any address."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, cast

import fsspec
import pytest

from ml_assets.commands.loop import _supply
from ml_assets.errors import DataError
from ml_assets.ingest.drop_zone import DropZone
from ml_assets.settings import Settings
from ml_assets.spec.cadence import Cadence
from ml_assets.spec.model import ModelSpec
from ml_assets.spec.source import SourceSpec


@dataclass(frozen=True)
class Declared:
    """A source, or a model, of a folder."""

    spec: SourceSpec | ModelSpec
    path: Path


@dataclass(frozen=True)
class Shop:
    """A project of one model, `shop`, with one source."""

    source: Declared
    declared: Declared
    settings: Settings

    def sources(self, _: str) -> list[Declared]:
        return [self.source]

    def model(self, _: str) -> Declared:
        return self.declared


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data" / "incoming" / "other" / "orders").mkdir(parents=True)
    (tmp_path / "archive").mkdir()
    return tmp_path


def supplied(data: Path, files: str, sample: dict[str, object] | None = None) -> None:
    source = SourceSpec(name="orders", files=files, event_time="at")
    model = ModelSpec.model_validate({
        "entity": "customer", "cadence": {"start": "2026-01-04"}, "label": {"sql": "label.sql", "horizon": "90d"},
        "features": ["money"], "sample": sample,
    })  # fmt: skip
    settings = Settings(data=data / "data")
    _supply(cast("Any", Shop(Declared(source, data), Declared(model, data / "shop"), settings)), "shop")


def one_order(zone: DropZone, end: str = "2026-03-01") -> str:
    """Write one order, as a sample."""
    with zone.mark_unfinished(date.fromisoformat(end)):
        (zone.folder / "orders").mkdir()
        (zone.folder / "orders" / "a.csv").write_text(f"at\n{end}\n")
    return "done"


SAMPLE = f"{__name__}:one_order"


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


def test_a_first_run_without_files_begins_with_the_sample(data: Path) -> None:
    supplied(data, "shop/orders/*.csv", {"fill": SAMPLE})
    assert (data / "data" / "incoming" / "shop" / "orders" / "a.csv").read_text() == "at\n2026-03-01\n"


def test_a_sample_of_which_a_part_is_there_goes_on_until_the_same_end(data: Path) -> None:
    with suppress(KeyboardInterrupt):
        folder = data / "data" / "incoming" / "shop"
        zone = DropZone("shop", folder, Cadence(start=date(2026, 1, 4)), date(2026, 3, 8))
        with zone.mark_unfinished(date(2026, 2, 1)):
            raise KeyboardInterrupt
    supplied(data, "shop/orders/*.csv", {"fill": SAMPLE})
    assert (folder / "orders" / "a.csv").read_text() == "at\n2026-02-01\n"


def test_a_sample_that_somebody_has_to_ask_for_is_named_and_not_made(data: Path) -> None:
    with pytest.raises(DataError, match=r"deliver some, or: ml-assets data one-order"):
        supplied(data, "shop/orders/*.csv", {"fill": SAMPLE, "first_run": False})


def test_a_store_that_does_not_answer_is_left_to_the_ingest_which_names_it(data: Path) -> None:
    supplied(data, "nowhere://archive/*.csv")
