"""Runs, model versions and the champion alias. The one module that speaks MLflow.

A version appears in the registry as the last step of a training, in one transaction with the tags that say what it
is: a run without a version was killed, and is removed when the same recipe is trained again.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any

from ml_assets import artifacts as files_of
from ml_assets.artifacts import Package
from ml_assets.errors import RegistryError
from ml_assets.tracking import EMBEDDED, aliased, client, latest_metrics

CHAMPION = "champion"
_RELEASE = "release"  # the tag
_INTENT = "ml_assets.moving"
_PARENT = "mlflow.parentRunId"
_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Or MLflow's UI opens an experiment on its traces, of which there are none."""


@dataclass(frozen=True)
class Version:
    """A trained version of a model.

    Args:
        model: the model's (and folder's) name.
        number: the registry's version number.
        run_id: the MLflow run that trained it.
        tags: what the training and the gates said: `as_of`, `recipe`, `sha256`, `verdict`, `reason`.
    """

    model: str
    number: int
    run_id: str
    tags: Mapping[str, str]

    @property
    def as_of(self) -> date:
        """The as-of date at which it was trained."""
        return date.fromisoformat(self.tags["as_of"])


@dataclass(frozen=True)
class Registry:
    """An MLflow tracking server and model registry.

    Args:
        uri: `sqlite:///…`, `http://…` or any tracking URI of MLflow.
        artifacts: where experiments keep files; None = where the server says.
        ui: the address of the MLflow UI, for links.
    """

    uri: str
    artifacts: str | None = None
    ui: str = "http://127.0.0.1:5000"

    def find(self, model: str, recipe: str) -> Version | None:
        """The version that was trained from exactly this recipe and these rows."""
        found = self._client.search_model_versions(f"name = '{model}' and tags.recipe = '{recipe}'")
        return max((_version(item) for item in found), key=lambda version: version.number, default=None)

    def version(self, model: str, number: int) -> Version:
        """One version by its number."""
        return _version(self._client.get_model_version(model, str(number)))

    def versions(self, model: str) -> list[Version]:
        """Every version of a model, in order."""
        found: list[Version] = []
        token = None
        while True:
            page = self._client.search_model_versions(f"name = '{model}'", 1000, page_token=token)
            found += map(_version, page)
            if not (token := page.token):
                return sorted(found, key=lambda version: version.number)

    def champion(self, model: str) -> Version | None:
        """The version that answers by default; None before the first release."""
        found = self._client.search_registered_models(f"name = '{model}'")
        number = found[0].aliases.get(CHAMPION) if found else None
        return None if number is None else self.version(model, int(number))

    def latest(self, model: str) -> Version | None:
        """The version that was trained last; None before the first training."""
        found = self._client.search_model_versions(f"name = '{model}'", 1, ["version_number DESC"])
        return _version(found[0]) if found else None

    def champions(self) -> dict[str, Version]:
        """The champion of every model that has one; the embedded database is read without MLflow's 3 s."""
        if self.uri.startswith(EMBEDDED):
            return {name: Version(name, number, run, tags) for name, number, run, tags in aliased(self.uri, CHAMPION)}
        found = self._client.search_registered_models(max_results=1000)
        numbers = {model.name: model.aliases[CHAMPION] for model in found if CHAMPION in model.aliases}
        return {name: self.version(name, int(number)) for name, number in numbers.items()}

    def glance(self, model: str) -> tuple[Version, dict[str, float]] | None:
        """The champion and its metrics, for who only looks, as quickly as `champions`."""
        found = self.champions().get(model)
        read = partial(latest_metrics, self.uri) if self.uri.startswith(EMBEDDED) else self.metrics
        return None if found is None else (found, read(found.run_id))

    def publish(self, version: Version, manifest: bytes) -> Version:
        """Release a version: what a server is to know is kept under its SHA-256, and a tag vouches for that."""
        digest = hashlib.sha256(manifest).hexdigest()
        if version.tags.get(_RELEASE) == digest:
            return version
        self.write(version.run_id, {f"release/{digest}.json": manifest})
        self.tag(version, **{_RELEASE: digest})
        return replace(version, tags={**version.tags, _RELEASE: digest})

    def manifest(self, version: Version) -> bytes:
        """What `publish` kept of a version.

        Raises:
            RegistryError: it was never released, or the file is not what the tag says.
        """
        who, digest = f"{version.model} version {version.number}", version.tags.get(_RELEASE)
        if digest is None:
            raise RegistryError(f"{who} was not released by its gates: run the loop, or promote a version that was")
        content = self.read(version.run_id, f"release/{digest}.json")
        if content is None or hashlib.sha256(content).hexdigest() != digest:
            raise RegistryError(
                f"{who}: the manifest's SHA-256 is not the recorded {digest[:12]}…: restore the file, or run the loop"
            )
        return content

    def promote(self, version: Version) -> None:
        """Point the champion alias at a version."""
        self._client.set_registered_model_alias(version.model, CHAMPION, str(version.number))

    def announce(self, model: str, intent: Mapping[str, Any]) -> None:
        """Say that the champion is about to be moved, so that who finds that it was not can finish it."""
        self._client.set_registered_model_tag(model, _INTENT, json.dumps(intent))

    def intent(self, model: str) -> dict[str, Any] | None:
        """What was announced and not finished."""
        found = self._client.search_registered_models(f"name = '{model}'")
        text = found[0].tags.get(_INTENT) if found else None
        return None if text is None else dict(json.loads(text))

    def clear_intent(self, model: str) -> None:
        """What was announced is done."""
        self._client.delete_registered_model_tag(model, _INTENT)

    def tag(self, version: Version, **tags: str) -> None:
        """Set tags of a version, and the same of its run."""
        for key, value in tags.items():
            self._client.set_model_version_tag(version.model, str(version.number), key, value)
            self._client.set_tag(version.run_id, key, value)

    def onnx(self, version: Version) -> bytes:
        """The released artifact of a version.

        Raises:
            RegistryError: its SHA-256 is not the one that was recorded when it was trained.
        """
        location = self._client.get_model_version_download_uri(version.model, str(version.number))
        content = files_of.fetch(self.uri, location)
        if hashlib.sha256(content).hexdigest() != version.tags["sha256"]:
            raise RegistryError(
                f"{version.model} version {version.number}: the artifact's SHA-256 is not the recorded "
                f"{version.tags['sha256'][:12]}…: restore the file, or promote another version"
            )
        return content

    def read(self, run_id: str, path: str) -> bytes | None:
        """A file of a run; None where it has none."""
        return files_of.read(self._client, run_id, path)

    def write(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Keep files with a run: path → content."""
        files_of.write(self._client, run_id, files)

    def metrics(self, run_id: str) -> dict[str, float]:
        """The last value of each metric of a run."""
        return dict(self._client.get_run(run_id).data.metrics)

    def log(self, run_id: str, metrics: Mapping[str, float], parameters: Mapping[str, object] | None = None) -> None:
        """Record metrics and parameters of a run in one request."""
        from mlflow.entities import Metric, Param  # 3 s

        now = int(time.time() * 1000)
        self._client.log_batch(
            run_id,
            metrics=[Metric(key, float(value), now, 0) for key, value in metrics.items()],
            params=[Param(key, str(value)) for key, value in (parameters or {}).items()],
        )

    def link(self, version: Version) -> str:
        """The address of a version's run in the MLflow UI."""
        experiment = self._client.get_run(version.run_id).info.experiment_id
        return f"{self.ui}/#/experiments/{experiment}/runs/{version.run_id}"

    @contextlib.contextmanager
    def run(self, model: str, name: str, tags: Mapping[str, str]) -> Iterator["Run"]:
        """A new training run. It is marked as failed when the body raises; what a killed one left is removed first."""
        experiment = self._experiment(model)
        self._remove_orphans(experiment, tags["recipe"])
        run_id = self._client.create_run(experiment, run_name=name, tags=dict(tags)).info.run_id
        try:
            yield Run(self, self._client, model, experiment, run_id, dict(tags))
        except BaseException:
            self._client.set_terminated(run_id, "FAILED")
            raise

    def _experiment(self, model: str) -> str:
        found = self._client.get_experiment_by_name(model)
        if found is None:
            location = f"{self.artifacts}/{model}" if self.artifacts else None
            return str(self._client.create_experiment(model, artifact_location=location, tags=_KIND))
        for key, value in _KIND.items():
            if found.tags.get(key) != value:
                self._client.set_experiment_tag(found.experiment_id, key, value)
        return str(found.experiment_id)

    def _remove_orphans(self, experiment: str, recipe: str) -> None:
        for run in self._client.search_runs([experiment], f"tags.recipe = '{recipe}'"):
            for child in self._client.search_runs([experiment], f"tags.`{_PARENT}` = '{run.info.run_id}'"):
                self._client.delete_run(child.info.run_id)
            self._client.delete_run(run.info.run_id)

    @property
    def _client(self) -> Any:  # noqa: ANN401 - mlflow's client has no strict types
        return client(self.uri)


@dataclass(frozen=True)
class Run:
    """A training run that is being written."""

    registry: Registry
    client: Any
    model: str
    experiment: str
    run_id: str
    tags: dict[str, str]

    def log(self, parameters: Mapping[str, object], metrics: Mapping[str, float]) -> None:
        """Record parameters and metrics in one request."""
        self.registry.log(self.run_id, metrics, parameters)

    def trial(self, number: int, parameters: Mapping[str, object], value: float, metric: str) -> None:
        """Record one trial of a search as a nested run."""
        child = self.client.create_run(self.experiment, run_name=f"trial {number}", tags={_PARENT: self.run_id})
        self.registry.log(child.info.run_id, {metric: value}, parameters)
        self.client.set_terminated(child.info.run_id)

    def inputs(self, datasets: Sequence[tuple[str, str, int, str]]) -> None:
        """Record the tables that went in: (name, path, version, context)."""
        from mlflow.data.delta_dataset_source import DeltaDatasetSource  # 3 s
        from mlflow.entities import Dataset, DatasetInput, InputTag

        made = []
        for name, path, version, context in datasets:
            source = DeltaDatasetSource(path=path, delta_table_version=version)
            kind = source._get_source_type()  # noqa: SLF001 - mlflow.log_input does the same for its global run
            entity = Dataset(name=name, digest=str(version), source_type=kind, source=source.to_json())
            made.append(DatasetInput(entity, [InputTag("mlflow.data.context", context)]))
        self.client.log_inputs(self.run_id, made)

    def register(self, package: Package, files: Mapping[str, bytes]) -> Version:
        """End the run and register its model: the version's appearance is the training's commit point.

        Args:
            package: what answers.
            files: further files of the run.
        """
        from mlflow.exceptions import MlflowException  # 3 s

        self.registry.write(self.run_id, files)
        model = files_of.log_model(self.registry.uri, self.run_id, package)
        with contextlib.suppress(MlflowException):  # it is there already
            self.client.create_registered_model(self.model)
        tags = {**self.tags, "sha256": hashlib.sha256(package.onnx).hexdigest()}
        # A server of MLflow takes a model of a run only by its id.
        return _version(
            self.client.create_model_version(self.model, model.uri, self.run_id, tags=tags, model_id=model.model_id)
        )


def _version(item: Any) -> Version:  # noqa: ANN401 - mlflow's entity
    return Version(item.name, int(item.version), item.run_id, dict(item.tags))
