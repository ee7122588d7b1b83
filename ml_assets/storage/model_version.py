"""A trained version, and the run that makes one: a part of what `registry.py` says to MLflow."""

import contextlib
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from ml_assets.storage import artifacts as files_of
from ml_assets.storage.artifacts import ModelPackage

PARENT = "mlflow.parentRunId"


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
class Run:
    """A training run that is being written."""

    uri: str
    client: Any
    model: str
    experiment: str
    run_id: str
    tags: dict[str, str]

    def log(self, parameters: Mapping[str, object], metrics: Mapping[str, float]) -> None:
        """Record parameters and metrics in one request."""
        log(self.client, self.run_id, metrics, parameters)

    def trial(self, number: int, parameters: Mapping[str, object], value: float, metric: str) -> None:
        """Record one trial of a search as a nested run.

        Args:
            number: from 0.
            parameters: that were tried.
            value: what they reached.
            metric: what that is a value of.
        """
        child = self.client.create_run(self.experiment, run_name=f"trial {number}", tags={PARENT: self.run_id})
        log(self.client, child.info.run_id, {metric: value}, parameters)
        self.client.set_terminated(child.info.run_id)

    def inputs(self, datasets: Sequence[tuple[str, str, int, str]]) -> None:
        """Record the tables that went in: (name, path, version, context)."""
        from mlflow.data.delta_dataset_source import DeltaDatasetSource  # 3 s
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = []
        for name, path, version, context in datasets:
            source = DeltaDatasetSource(path=path, delta_table_version=version)
            kind = source._get_source_type()  # noqa: SLF001 - mlflow.log_input does the same for its global run
            entity = Dataset(name=name, digest=str(version), source_type=kind, source=source.to_json())
            inputs.append(DatasetInput(entity, [InputTag("mlflow.data.context", context)]))
        self.client.log_inputs(self.run_id, inputs)

    def register(self, package: ModelPackage, files: Mapping[str, bytes]) -> Version:
        """End the run and register its model: the version's appearance is the training's commit point.

        Args:
            package: what answers.
            files: further files of the run.
        """
        from mlflow.exceptions import MlflowException  # 3 s

        files_of.write(self.client, self.run_id, files)
        model = files_of.log_model(self.uri, self.run_id, package)
        with contextlib.suppress(MlflowException):  # it is there already
            self.client.create_registered_model(self.model)
        tags = {**self.tags, "sha256": hashlib.sha256(package.onnx).hexdigest()}
        # A server of MLflow takes a model of a run only by its id.
        return version_of(
            self.client.create_model_version(self.model, model.uri, self.run_id, tags=tags, model_id=model.model_id)
        )


def version_of(item: Any) -> Version:  # noqa: ANN401 - mlflow's entity
    """A version as MLflow says it."""
    return Version(item.name, int(item.version), item.run_id, dict(item.tags))


def log(client: Any, run_id: str, metrics: Mapping[str, float], parameters: Mapping[str, object] | None) -> None:  # noqa: ANN401 - mlflow has no types
    """Record metrics and parameters of a run in one request.

    Args:
        client: of MLflow.
        run_id: the run.
        metrics: name → value.
        parameters: name → value, kept as text.
    """
    from mlflow.entities import Metric, Param  # 3 s

    now = int(time.time() * 1000)
    client.log_batch(
        run_id,
        metrics=[Metric(key, float(value), now, 0) for key, value in metrics.items()],
        params=[Param(key, str(value)) for key, value in (parameters or {}).items()],
    )


_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Or MLflow's UI opens an experiment on its traces, of which there are none."""


def ensure_experiment(client: Any, model: str, artifacts: str | None) -> str:  # noqa: ANN401 - mlflow's client
    """The id of the experiment of a model, which is made, or taken out of the trash, where it is not there.

    Args:
        client: of MLflow.
        model: the model's name.
        artifacts: where experiments keep files; None = where the server says.
    """
    experiment = client.get_experiment_by_name(model)
    if experiment is None:
        location = f"{artifacts}/{model}" if artifacts else None
        return str(client.create_experiment(model, artifact_location=location, tags=_KIND))
    if experiment.lifecycle_stage == "deleted":  # by somebody in MLflow's UI: its name is taken all the same
        client.restore_experiment(experiment.experiment_id)
    for key, value in _KIND.items():
        if experiment.tags.get(key) != value:
            client.set_experiment_tag(experiment.experiment_id, key, value)
    return str(experiment.experiment_id)


def remove_orphans(client: Any, experiment: str, recipe: str) -> None:  # noqa: ANN401 - mlflow's client
    """Remove what a run of the same recipe left that was killed, with its trials."""
    for run in client.search_runs([experiment], f"tags.recipe = '{recipe}'"):
        for child in client.search_runs([experiment], f"tags.`{PARENT}` = '{run.info.run_id}'"):
            client.delete_run(child.info.run_id)
        client.delete_run(run.info.run_id)
