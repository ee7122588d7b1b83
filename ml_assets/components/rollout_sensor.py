"""The sensor that watches a rollout: it measures, takes what follows at once, and asks for what people look at."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, Self

import dagster as dg
from pydantic import BaseModel

from ml_assets.components.alerting import asset_link
from ml_assets.components.resources import LakeResource, RegistryResource, SettingsResource
from ml_assets.components.sensors import ALWAYS, REASON
from ml_assets.spec.rollout import RolloutSpec

if TYPE_CHECKING:
    from ml_assets.rollouts.incident import Rollback
    from ml_assets.rollouts.ledger import RolloutStep
    from ml_assets.rollouts.watch import RolloutLook


class RolloutCursor(BaseModel):
    """What was asked for last; a cursor that is lost asks again, and Dagster starts no run of the same key twice.

    Args:
        step: of the ledger whose picture was asked for.
        rollback: whose page was asked for.
        version: whose rollout was to begin.
        answers: the number of the last answer of servers by then.
        asked_at: when, naive UTC.
        compared: the hour of the last comparison by labels after a promotion.
    """

    step: str = ""
    rollback: str = ""
    version: int = 0
    answers: int = -1
    asked_at: datetime = datetime.min  # noqa: DTZ901 - naive UTC, as the lake's times
    compared: str = ""

    @classmethod
    def read(cls, text: str | None) -> Self:
        """The cursor as Dagster kept it."""
        return cls.model_validate_json(text) if text else cls()

    def note(self, kind: Literal["step", "rollback", "compared"], name: str) -> bool:
        """Keep the name of what is asked for now; false where that was asked for already, or there is nothing."""
        if not name or getattr(self, kind) == name:
            return False
        setattr(self, kind, name)
        return True


def rollout_sensor(
    folder: str, spec: RolloutSpec, rollout_key: dg.AssetKey, incident_key: dg.AssetKey
) -> dg.SensorDefinition:
    """Look at a rollout every 15 s: the statistics hold at all looks, and a breach does not wait for a run.

    Args:
        folder: the model's name.
        spec: as declared.
        rollout_key: of the asset that shows it, and begins it.
        incident_key: of the asset that tells of a rollback.
    """

    @dg.sensor(name=f"{folder}_rollout", target=dg.AssetSelection.assets(rollout_key, incident_key), **ALWAYS)
    def rollout(
        context: dg.SensorEvaluationContext, lake: LakeResource, registry: RegistryResource, settings: SettingsResource
    ) -> dg.SensorResult:
        """The rollout is measured; a step is taken at once, and its picture asked for."""
        from ml_assets.events.counts import last_answer
        from ml_assets.events.store import EventStore
        from ml_assets.rollouts.incident import last_rollback
        from ml_assets.rollouts.watch import look, tell_step

        now, cursor = datetime.now(UTC).replace(tzinfo=None), RolloutCursor.read(context.cursor)
        with EventStore(settings.event_store_url) as store:
            found = look(lake.open(), registry.open(), store, folder, actor="sensor", now=now)
            answers = last_answer(store, folder) if found.waiting else 0
        tell_step(lake.open(), folder, found.step, asset_link(settings.dagster_ui, rollout_key))
        requests = [
            request_step(folder, rollout_key, cursor, found.step),
            request_page(folder, incident_key, cursor, last_rollback(lake.open(), folder)),
            request_beginning(folder, rollout_key, cursor, found, answers, now, spec.every),
            request_comparison(folder, rollout_key, cursor, found.step, now),
        ]
        run_requests = [each for each in requests if each]
        skip = None if run_requests else found.reason
        return dg.SensorResult(run_requests, skip_reason=skip, cursor=cursor.model_dump_json())

    return rollout


def request_step(
    folder: str, key: dg.AssetKey, cursor: RolloutCursor, step: "RolloutStep | None"
) -> dg.RunRequest | None:
    """The run that shows a step of the ledger, unless it was asked for.

    Args:
        folder: the model's name.
        key: of the asset.
        cursor: is told what is asked for.
        step: the last one.
    """
    if step is None or not cursor.note("step", name := f"{step.rollout}/{step.step}"):
        return None
    return _run(f"{folder}/rollout/{name}", key, f"rollout {step.rollout}: {step.action}, {step.reason}")


def request_page(
    folder: str, key: dg.AssetKey, cursor: RolloutCursor, rollback: "Rollback | None"
) -> dg.RunRequest | None:
    """The run that writes the page of a rollback, whoever rolled back, unless it was asked for.

    Args:
        folder: the model's name.
        key: of the asset.
        cursor: is told what is asked for.
        rollback: the last one.
    """
    if rollback is None or not cursor.note("rollback", name := f"{rollback.name} {rollback.at.isoformat()}"):
        return None
    return _run(f"{folder}/incident/{name}", key, f"version {rollback.version} was rolled back: {rollback.reason}")


def request_comparison(
    folder: str, key: dg.AssetKey, cursor: RolloutCursor, step: "RolloutStep | None", now: datetime
) -> dg.RunRequest | None:
    """The run that looks for labels after a promotion, once an hour, until it is confirmed or taken back.

    Where no limit of quality is declared there is nothing to look for.

    Args:
        folder: the model's name.
        key: of the asset.
        cursor: is told what is asked for.
        step: the last one.
        now: naive UTC.
    """
    if step is None or step.action != "promote" or not RolloutSpec.model_validate_json(step.policy).quality:
        return None
    if not cursor.note("compared", name := f"{step.rollout}/{now:%Y-%m-%dT%H}"):
        return None
    why = f"rollout {step.rollout}: labels may have come since the promotion"
    return _run(f"{folder}/rollout/labels/{name}", key, why)


def request_beginning(
    folder: str,
    key: dg.AssetKey,
    cursor: RolloutCursor,
    found: "RolloutLook",
    answers: int,
    now: datetime,
    every: timedelta,
) -> dg.RunRequest | None:
    """The run that begins the rollout whose turn it is.

    Its gates are asked again, which takes longer than a look may. One that has to wait is tried again once servers have
    answered more, for that is what most wait for.

    Args:
        folder: the model's name.
        key: of the asset.
        cursor: is told what is asked for.
        found: the look.
        answers: the number of the last answer of servers.
        now: naive UTC.
        every: how often at the most.
    """
    waiting = found.waiting
    if waiting is None:
        return None
    if waiting.version == cursor.version and (answers == cursor.answers or now - cursor.asked_at < every):
        return None
    cursor.version, cursor.answers, cursor.asked_at = waiting.version, answers, now
    run_key = f"{folder}/rollout/begin/{waiting.version}/{waiting.at.isoformat()}/{answers}"
    return _run(run_key, key, found.reason)


def _run(name: str, key: dg.AssetKey, why: str) -> dg.RunRequest:
    return dg.RunRequest(run_key=name, asset_selection=[key], tags={REASON: why})
