"""Whether a command can write where it has to: asked once something failed, for each library says it in its own way."""

import os
import tempfile
from pathlib import Path

_SIZE = 64 << 10  # a file system without room lets empty files be made


def obstacle(data: Path) -> tuple[str, str] | None:
    """Say which folder cannot be written and why, and what to do; None where both can.

    Args:
        data: the data folder.
    """
    temporary = Path(os.environ.get("TMPDIR") or tempfile.gettempdir())
    if why := _failure(data):
        remedy = "let this user write there, free space, or set ML_ASSETS_DATA to another folder"
        return f"the data folder {data} cannot be written ({why})", remedy
    if why := _failure(temporary):
        sentence = f"{temporary}, the folder of temporary files, cannot be written ({why})"
        return sentence, "free space there, or set TMPDIR to another folder"
    return None


def _failure(folder: Path) -> str | None:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0" * _SIZE)
            file.flush()
    except OSError as error:
        return error.strerror or type(error).__name__
    return None
