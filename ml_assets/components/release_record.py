"""`<folder>/release_record`: what was checked of a candidate, signed, with a check that blocks for each."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from ml_assets.components.base import Result, as_of
from ml_assets.components.metadata import check_result, text_block
from ml_assets.components.provenance import tags
from ml_assets.components.resources import LakeResource, RegistryResource, SettingsResource
from ml_assets.decisions.release import CHECKS, Check, CheckStatus, names_at
from ml_assets.release.checks import JUDGES
from ml_assets.settings import PROJECT
from ml_assets.spec.monitor import MonitorSpec
from ml_assets.spec.source import SourceSpec
from ml_assets.spec.view import ViewSpec

if TYPE_CHECKING:
    from ml_assets.components.model import Model
    from ml_assets.release.record import RecordedRelease
    from ml_assets.training.definition import ModelDefinition


def release_record(model: "Model", folder: "ModelDefinition", tree: dg.ComponentTree) -> dg.AssetsDefinition:
    """The asset between the evaluation of a candidate and its release."""
    report = "fairness_report" if model.spec.fairness else "evaluation_report"
    key, upstream = model.key("release_record"), [model.key(report)]
    sources, views = model.specs_beside(tree, SourceSpec), model.specs_beside(tree, ViewSpec)
    rules = sum(len(each.alerts.judged) for each in model.specs_beside(tree, MonitorSpec))

    @model.asset(
        key, "mlflow", "deltalake", deps=upstream, checks=_specs(key, _judged(folder)), cadence=model.spec.cadence
    )
    def release_record(
        context: dg.AssetExecutionContext, lake: LakeResource, registry: RegistryResource, settings: SettingsResource
    ) -> Result:
        """Everything that was checked of the candidate: passed, failed, not judged or waived; signed and chained."""
        from ml_assets.release.documentation import read_documentation
        from ml_assets.release.evidence import read_alerts
        from ml_assets.release.record import record_candidate
        from ml_assets.release.scan import PackageAuditor
        from ml_assets.release.sign import KeyFolder
        from ml_assets.training.report import read_report
        from ml_assets.training.train import candidate

        store, versions, now = lake.open(), registry.open(), datetime.now(UTC).replace(tzinfo=None)
        report = read_report(versions, folder, candidate(store, versions, folder, as_of(context)))
        done = record_candidate(
            store, versions, folder, report, key=KeyFolder.at(settings.state).open(),
            auditor=PackageAuditor(PROJECT, folder.spec.release.audit),
            alerts=read_alerts(store, rules, settings.alerts, now),
            documentation=read_documentation(model.path, folder.spec.card, sources, views),
            origin=tags(context.run_id), now=now,
        )  # fmt: skip
        return _shown(done, folder)

    return release_record


def _judged(folder: "ModelDefinition") -> tuple[str, ...]:
    """The checks that something judges, and those that are required: each is an event of Dagster, which costs 35 ms.

    What nothing judges yet stands in the record, with why.
    """
    return tuple(each for each in names_at("candidate") if each in JUDGES or each in folder.spec.release.require)


def _specs(key: dg.AssetKey, names: tuple[str, ...]) -> list[dg.AssetCheckSpec]:
    """A check of each name. What fails blocks, and what is required and not known."""
    return [dg.AssetCheckSpec(name, asset=key, blocking=True, description=CHECKS[name].rule) for name in names]


def _shown(done: "RecordedRelease", folder: "ModelDefinition") -> Result:
    from ml_assets.release.text import record_text

    entry, require, shown = done.row.read(folder.name).entry, folder.spec.release.require, _judged(folder)
    return Result(
        metadata={"record": text_block(record_text(done.row, entry)), **done.metadata()},
        check_results=[
            _result(check, required=check.name in require) for check in done.verdict.numbers if check.name in shown
        ],
    )


def _result(check: Check, *, required: bool) -> dg.AssetCheckResult:
    """What is not judged has not passed: it is a warning, unless it is required."""
    unknown = check.status is CheckStatus.NOT_JUDGED
    numbers = {"value": check.value, "limit": check.limit}
    return check_result(
        check.name,
        passed=check.status in {CheckStatus.PASSED, CheckStatus.WAIVED},
        warning=unknown and not required,
        description=f"not judged: {check.reason}" if unknown else check.reason,
        metadata={"status": check.status.value, **{name: each for name, each in numbers.items() if each is not None}},
    )
