"""The samples that model folders declare: each `sample:` of a `defs.yaml` names a function that fills the drop zone."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict

from ml_assets.errors import DeclarationError
from ml_assets.ingest.drop_zone import Bar, DropZone, silent
from ml_assets.spec.base import Declaration
from ml_assets.spec.cadence import Cadence
from ml_assets.spec.function_path import import_function
from ml_assets.spec.load import FILE, model_folders, read_documents, with_line
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

    def zone(self, incoming: Path, command: str = "", bar: Bar = silent) -> DropZone:
        """The drop zone of the model below the one of the project; see `DropZone` for the other arguments."""
        name = self.path.name
        return DropZone(name, incoming / name, self.cadence, datetime.now(UTC).date(), command, bar)

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
            raise DeclarationError(with_line(f"{self.path / FILE}: {error}")) from error


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
    for path in model_folders(defs):
        try:
            declared = _read(path)
        except DeclarationError:
            samples.unread.append(path / FILE)
            continue
        for sample in declared:
            other = samples.setdefault(sample.spec.command, sample)
            if other is not sample:
                raise DeclarationError(
                    f"{other.path / FILE} and {path / FILE} both declare a sample {sample.spec.command!r}: "
                    "leave `sample` out of one of them"
                )
    return samples


def _read(path: Path) -> list[Sample]:
    documents = [document for document in read_documents(path / FILE) if document.kind == "Model"]
    models = [document.spec(SampledModel, "attributes") for document in documents]
    return [Sample(path, model.sample, model.cadence) for model in models if model.sample]
