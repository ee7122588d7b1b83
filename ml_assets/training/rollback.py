"""A person makes another version the champion: it is announced, the alias moves, the ledger follows.

The announcement is the commit: killed after it, the next rollback or run finishes what it says.
"""

from datetime import date, datetime, timedelta

from ml_assets.errors import TrainingError
from ml_assets.storage.lake import Lake
from ml_assets.storage.registry import Registry, Version
from ml_assets.storage.tables import ModelTables
from ml_assets.training.release import champion_before, complete, explain, history, ledger


def rollback(
    lake: Lake,
    registry: Registry,
    model: str,
    *,
    to: int | None,
    reason: str,
    decided_at: datetime,
    key: str | None = None,
) -> Version:
    """Make a released version the champion.

    Args:
        lake: where the ledger is.
        registry: where the versions are.
        model: whose champion.
        to: the number of the version; None: the champion before this one that was not itself rolled back from.
        reason: why, for the ledger.
        decided_at: now, naive UTC.
        key: under which the ledger records it, where it follows from a decision that is kept elsewhere.

    Returns:
        The champion.

    Raises:
        TrainingError: there is nothing to roll back to, or the version was never released.
    """
    if not reason.strip():
        raise TrainingError("a rollback needs a reason: say with --reason what was wrong")
    finished = complete(lake, registry, model)
    if finished is not None and to in {None, finished.number}:
        return finished
    champion = registry.champion(model)
    if champion is None:
        raise TrainingError(f"{model} has no champion: `ml-assets run {model}` trains one")
    version = _version(registry, model, to) if to is not None else _before(lake, registry, champion)
    if version.number == champion.number:
        raise TrainingError(f"{model}: it is the champion already: {explain(lake, model, version.number)}")
    _require_released(version)
    decided_at = time_of_move(lake, model, decided_at)
    registry.announce(model, {
        "version": version.number, "previous": champion.number, "reason": " ".join(reason.split())[:1000],
        "as_of": str(reached_as_of(lake, model, decided_at)), "decided_at": decided_at.isoformat(), "key": key,
    })  # fmt: skip
    complete(lake, registry, model)
    return version


def _version(registry: Registry, model: str, number: int) -> Version:
    versions = {version.number: version for version in registry.versions(model)}
    if number not in versions:
        numbers = ", ".join(map(str, sorted(versions))) or "none"
        raise TrainingError(f"{model} has no version {number}: there are {numbers}")
    return versions[number]


def _before(lake: Lake, registry: Registry, champion: Version) -> Version:
    before = champion_before(lake, registry, champion)
    if before is None:
        raise TrainingError(
            f"{champion.model} has had no champion before version {champion.number} to go back to: name a version with "
            "--to"
        )
    return before


def _require_released(version: Version) -> None:
    if "release" not in version.tags:
        why = version.tags.get("reason", "it was not evaluated")
        raise TrainingError(
            f"{version.model} version {version.number} never passed its gates ({why}), so no server can load it: "
            "choose another version, or change ship_when and run again"
        )


def reached_as_of(lake: Lake, model: str, decided_at: datetime) -> date:
    """The as-of date that the loop has reached: its ledger and its predictions say it.

    Args:
        lake: where both are.
        model: the model's name.
        decided_at: the moment whose date it is where neither says anything, naive UTC.
    """
    days = [row["since"] for row in history(lake, model)]
    if lake.version(ModelTables(model).predictions) is not None:
        (last,) = lake.query("SELECT max(as_of) AS day FROM p", p=ModelTables(model).predictions)["day"].to_pylist()
        days += [last] if last else []
    return max(days, default=decided_at.date())


def time_of_move(lake: Lake, model: str, now: datetime) -> datetime:
    """When a move of the champion is decided: after the one before it, for the clocks of machines differ.

    Args:
        lake: where the ledger is.
        model: the model's name.
        now: by this machine's clock, naive UTC.
    """
    last = ledger(model).last(lake)
    return now if last is None else max(now, last.decided_at + timedelta(microseconds=1))
