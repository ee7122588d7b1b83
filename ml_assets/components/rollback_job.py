"""The job `<folder>_rollback`: a person goes back to another version from the UI."""

from datetime import UTC, datetime

import dagster as dg
from pydantic import Field

from ml_assets.components.resources import LakeResource, RegistryResource


class RollbackConfig(dg.Config):
    """What a person says of a rollback."""

    reason: str = Field(description="Why, for the ledger and the page of the incident")
    to: int | None = Field(None, description="The version; none: ends the rollout that runs, else the champion before")


def rollback_job(folder: str) -> dg.JobDefinition:
    """End the rollout that is running, or make the champion before the champion again.

    It is a job of one op, and no asset: nothing is made that anything else stands on.
    """

    @dg.op(name=f"{folder}_roll_back", description="Ends the rollout that is running, or goes back to a version")
    def roll_back(
        context: dg.OpExecutionContext, config: RollbackConfig, lake: LakeResource, registry: RegistryResource
    ) -> None:
        from ml_assets.rollouts.by_hand import go_back

        now = datetime.now(UTC).replace(tzinfo=None)
        said = go_back(
            lake.open(), registry.open(), folder, to=config.to, reason=config.reason, actor="a person", now=now
        )
        context.log.info(said)

    @dg.job(name=f"{folder}_rollback", description=f"Another version of {folder} answers from now on")
    def job() -> None:
        roll_back()

    return job
