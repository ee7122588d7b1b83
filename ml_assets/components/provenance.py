"""What a run records of the code that it ran: git commit, lock file, the Dagster run."""

import subprocess
from functools import cache

from ml_assets.settings import PROJECT


def tags(run_id: str) -> dict[str, str]:
    """Tags of an MLflow run: where it came from."""
    commit = _commit()
    return {"dagster_run_id": run_id, **({"mlflow.source.git.commit": commit} if commit else {})}


def files() -> dict[str, bytes]:
    """The environment's lock file, where the project has one."""
    lock = PROJECT / "uv.lock"
    return {"environment/uv.lock": lock.read_bytes()} if lock.is_file() else {}


@cache
def _commit() -> str | None:
    """The commit of the working tree, `-dirty` if it was changed since; None outside of git."""
    try:
        process = subprocess.run(  # noqa: S603 - a fixed command
            ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],  # noqa: S607 - git from the PATH
            capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip()
