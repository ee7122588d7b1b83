"""A commit of a Delta table that was cut in half: by a machine that lost its power, or by a disk.

deltalake shows a commit whole or not at all, so this is none that another process writes just now. Whether it was
acknowledged cannot be told. The last one is set aside: whoever wrote it finds that its record does not stand and writes
again what it still has, files from the drop zone and rows from the event store.

A checkpoint says what the commits before it say, so one that was cut is set aside, and the commits are read.
"""

import json
import logging
import re
from pathlib import Path

from ml_assets.errors import LakeError

_COMMIT = re.compile(r"\d{20}\.json")
_CHECKPOINTS = "*.checkpoint.parquet"
_LAST = "_last_checkpoint"
_log = logging.getLogger("ml_assets")


def mend(root: str, table: str, error: Exception) -> None:
    """Set the last commit of a table aside if it is cut in half, or its checkpoints that are.

    Args:
        root: the lake.
        table: its name.
        error: what opening it raised.

    Raises:
        LakeError: that is not what is wrong, or it cannot be put right; with the file and what to do.
    """
    message = str(error).strip().partition("\n")[0]
    log = Path(root) / table / "_delta_log"
    if "://" in root or not log.is_dir():
        raise LakeError(f"table {table}: its log below {root}/{table} cannot be read: {message}") from error
    commits = sorted(file for file in log.iterdir() if _COMMIT.fullmatch(file.name))
    cut = next((file for file in commits if not _is_whole(file)), None)
    if cut is None and _without_checkpoints(log):
        _log.warning("table %s: a checkpoint in %s was cut in half; its commits are read instead", table, log)
        return
    if cut is None:
        raise LakeError(
            f"table {table}: {log} cannot be read ({message}): "
            "restore that folder and the files beside it from one backup"
        ) from error
    if cut != commits[-1]:
        raise LakeError(
            f"table {table}: {cut} is cut in half, and later commits stand on it: restore that file from a backup; "
            "a table that is computed may be removed instead, and the next run makes it anew"
        ) from error
    try:
        cut.rename(cut.with_suffix(".torn"))
    except OSError as failed:
        raise LakeError(f"table {table}: {cut} is cut in half and cannot be set aside: {failed.strerror}") from error
    _log.warning("table %s: its last commit, %s, was cut in half and is set aside; run again", table, cut)


def _is_whole(file: Path) -> bool:
    try:
        return all(isinstance(json.loads(line), dict) for line in file.read_text(encoding="utf-8").splitlines())
    except ValueError:
        return False


def _without_checkpoints(log: Path) -> bool:
    """Set checkpoints aside that cannot be read, and the note of the last one if it names none; whether there were."""
    torn = [file for file in log.glob(_CHECKPOINTS) if not _is_readable(file)]
    for file in torn:
        file.rename(file.with_suffix(".torn"))
    last, whole = log / _LAST, any(log.glob(_CHECKPOINTS))
    if torn or (last.exists() and not whole):
        last.unlink(missing_ok=True)
        return True
    return False


def _is_readable(file: Path) -> bool:
    import pyarrow as pa  # not at load
    from pyarrow import parquet

    try:
        parquet.read_table(file)
    except (pa.ArrowException, OSError):
        return False
    return True
