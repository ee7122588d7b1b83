"""The samples that model folders declare: each `sample:` of a `defs.yaml` names a function that fills the drop zone."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ConfigDict, ValidationError

from ml_assets.errors import DeclarationError
from ml_assets.ingest.drop_zone import Bar, DropZone, silent
from ml_assets.settings import settings
from ml_assets.spec.base import Declaration
from ml_assets.spec.cadence import Cadence
from ml_assets.spec.function_path import import_function
from ml_assets.spec.sample import SampleSpec

if TYPE_CHECKING:
    from ml_assets.spec.model import ModelSpec


class SampledModel(Declaration):
    """What a sample must know of the model that it is of; its other fields are of no concern here."""

    model_config = ConfigDict(extra="ignore")

    cadence: Cadence
    sample: SampleSpec | None = None


@dataclass(frozen=True)
class Sample:
    """The sample of one model folder.

    Args:
        path: the folder with the `defs.yaml`.
        spec: what it declares.
        cadence: the model's as-of dates.
    """

    path: Path
    spec: SampleSpec
    cadence: Cadence

    def zone(self, command: str = "", bar: Bar = silent) -> DropZone:
        """The drop zone of the model; see `DropZone` for the arguments."""
        name = self.path.name
        return DropZone(name, settings().incoming / name, self.cadence, datetime.now(UTC).date(), command, bar)

    def fill(self) -> Callable[..., str]:
        """The function that fills the drop zone.

        Raises:
            DeclarationError: it cannot be imported.
        """
        return self._imported("fill", self.spec.fill)

    def best_roc_auc(self) -> Callable[..., float | None] | None:
        """The function that knows the best possible ROC AUC; None where nobody does.

        Raises:
            DeclarationError: it cannot be imported.
        """
        path = self.spec.best_roc_auc
        return None if path is None else self._imported("best_roc_auc", path)

    def _imported(self, field: str, path: str) -> Callable[..., Any]:
        try:
            return import_function(path, f"sample.{field}")
        except DeclarationError as error:
            from ml_assets.components.load_error import with_line  # Dagster: only where something is wrong

            raise DeclarationError(with_line(f"{self.path / 'defs.yaml'}: {error}")) from error


def of_model(path: Path, spec: "ModelSpec") -> Sample | None:
    """The sample of a loaded model; None where it declares none."""
    return None if spec.sample is None else Sample(path, spec.sample, spec.cadence)


class Samples(dict[str, Sample]):
    """Samples by the subcommand of `ml-assets data` that writes them; `unread` are the files that cannot be read."""

    def __init__(self) -> None:
        super().__init__()
        self.unread: list[Path] = []


def by_command(defs: Path) -> Samples:
    """The samples of all model folders; a file that cannot be read has none. Dagster, which is slow, is not asked.

    Raises:
        DeclarationError: two folders name functions of the same name.
    """
    samples = Samples()
    for path in sorted(defs.glob("*/defs.yaml")):
        try:
            declared = _read(path)
        except (yaml.YAMLError, ValidationError):
            samples.unread.append(path)
            continue
        for sample in declared:
            other = samples.setdefault(sample.spec.command, sample)
            if other is not sample:
                raise DeclarationError(
                    f"{other.path / 'defs.yaml'} and {path} both declare a sample {sample.spec.command!r}: "
                    "leave `sample` out of one of them"
                )
    return samples


def _read(path: Path) -> list[Sample]:
    parts = [part for part in yaml.safe_load_all(path.read_text(encoding="utf-8")) if _is_model(part)]
    models = [SampledModel.model_validate(part["attributes"]) for part in parts]
    return [Sample(path.parent, model.sample, model.cadence) for model in models if model.sample]


def _is_model(part: object) -> bool:
    """Whether a document of a `defs.yaml` is a `Model` with a sample."""
    return (
        isinstance(part, dict)
        and str(part.get("type", "")).endswith(".Model")
        and isinstance(part.get("attributes"), dict)
        and "sample" in part["attributes"]
    )
