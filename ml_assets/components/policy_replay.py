"""`<folder>/policy_replay`: what retraining policies would have done over history."""

from typing import TYPE_CHECKING

import dagster as dg

from ml_assets.components.base import Result
from ml_assets.components.metadata import picture, table
from ml_assets.components.resources import LakeResource, SettingsResource

if TYPE_CHECKING:
    from ml_assets.components.monitor import Monitor
    from ml_assets.training.definition import ModelDefinition


def policy_replay(monitor: "Monitor", folder: "ModelDefinition") -> dg.AssetsDefinition:
    """The asset; it is not of the loop, for it takes minutes, and a person asks for it."""
    past = [dg.AssetKey.from_user_string(relation.table) for relation in folder.labels.relations]

    @monitor.asset(monitor.key("policy_replay"), "scikitlearn", deps=past, looped=False)
    def policy_replay(context: dg.AssetExecutionContext, lake: LakeResource, settings: SettingsResource) -> Result:
        """What each retraining policy would have done over history, and what would have come of it."""
        from ml_assets.replay.plot import figure
        from ml_assets.replay.store import ReplayStore
        from ml_assets.replay.walk import replay, replayable_dates, standard_policies

        store, lake_ = ReplayStore(settings.replays / folder.name), lake.open()
        policies, dates = standard_policies(folder, monitor.spec), replayable_dates(lake_, folder)
        done = replay(
            lake_, folder, monitor.spec, policies, dates, store=store,
            workers=lake.workers, say=lambda done, of, what: context.log.debug("%s of %s: %s", done, of, what),
        )  # fmt: skip
        plot = picture(figure(done), "realised metric and area lost, by policy")
        return Result(metadata={"plot": plot, "policies": table(done.rows()), **done.metadata()})

    return policy_replay
