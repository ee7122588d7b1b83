"""Why a folder cannot be loaded, in one line: `file:line: what is wrong and what would be right`."""

import re
from pathlib import Path

from ml_assets.errors import DeclarationError, shorten
from ml_assets.spec.load import FILE, with_line


def load_error(error: BaseException, folder: Path) -> str:
    """The innermost message of whatever was raised while a folder was loaded; it names a file of the folder."""
    message = cause(error).removeprefix("Invariant failed. Description: ")
    if str(folder) not in message and not re.match(rf"{re.escape(folder.name)}/\S+\.sql", message):
        message = with_line(f"{folder / FILE}: {message}")
    return shorten(message, 600)


def cause(error: BaseException) -> str:
    """The innermost message, in one line."""
    while error.__cause__ is not None and not isinstance(error, DeclarationError):
        error = error.__cause__
    return with_line(" ".join(str(error).split()))
