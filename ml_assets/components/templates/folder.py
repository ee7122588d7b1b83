"""A model folder with its sample, written so that a killed command leaves nothing that looks finished."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq

from ml_assets.components.naming import require_name
from ml_assets.components.templates.sample import sample, start_of
from ml_assets.errors import DeclarationError
from ml_assets.storage.files import hold_lock

MODEL = Path(__file__).parent / "model"

_SAMPLE = "sample.parquet"


@dataclass(frozen=True)
class Place:
    """Where a new model goes.

    Args:
        defs: the folder of model folders.
        incoming: the drop zone.
        lake: the root of the tables; a model of an earlier life may have left some.
    """

    defs: Path
    incoming: Path
    lake: Path


def render(name: str, start: date) -> Mapping[str, str]:
    """The files of a model folder: path → text. `start` is the first as-of date."""
    texts = {str(path.relative_to(MODEL)): path.read_text(encoding="utf-8") for path in sorted(MODEL.rglob("*.*"))}
    return {path: text.replace("@NAME@", name).replace("@START@", str(start)) for path, text in texts.items()}


def write(name: str, place: Place, end: date) -> Path:
    """Write the model folder and its sample, and return the folder.

    Both are made under hidden names and renamed, the sample first: a folder that exists is whole and can run.

    Args:
        name: the model.
        place: where it goes.
        end: the last as-of date, a Sunday; the sample ends before it.

    Raises:
        DeclarationError: the name is no valid one, or is taken.
    """
    require_name(name)
    with hold_lock(place.incoming / ".new.lock"):
        require_free(name, place)
        folder = _folder(name, place.defs, end)
        _sample(name, place.incoming, end)
        return folder.replace(place.defs / name)


def require_free(name: str, place: Place) -> None:
    """Refuse a name that a definition, files in the drop zone or tables in the lake have already."""
    for other in (path for path in (place.defs / name, place.defs / f"{name}.py") if path.exists()):
        if not (other.is_dir() and not any(other.iterdir())):  # `dg scaffold defs` makes the folder first
            raise DeclarationError(f"{other} exists already: choose another name, or remove it first")
    for path in sorted((place.incoming / name).rglob("*")):
        if path.is_file() and path.name != _SAMPLE:
            raise DeclarationError(f"{path} waits for a model {name!r}: choose another name, or move the files away")
    if (place.lake / name).exists():
        raise DeclarationError(
            f"{place.lake / name} holds the tables of an earlier model {name!r}, which a sample must not be "
            f"mixed with: choose another name, or `ml-assets remove {name}` first"
        )


def _folder(name: str, defs: Path, end: date) -> Path:
    folder = _fresh(defs / f".{name}.new")
    for path, text in render(name, start_of(end)).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def _sample(name: str, incoming: Path, end: date) -> None:
    folder = _fresh(incoming / f".{name}.new")
    for source, rows in sample(name, end).items():
        (folder / source).mkdir()
        pq.write_table(rows, folder / source / _SAMPLE)
    if (incoming / name).exists():  # what a killed command left: the folder was not there yet, so nobody has read it
        shutil.rmtree(incoming / name)
    folder.replace(incoming / name)


def _fresh(path: Path) -> Path:
    """An empty folder, whatever a killed command left there."""
    if path.exists():
        shutil.rmtree(path)
    path.mkdir(parents=True)
    return path
