"""Why something in a drop zone is not read: pipes, sockets, links that leave it."""

import os
import stat
from pathlib import Path
from typing import Any

from ml_assets.escaping import printable

_KINDS = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def obstacle(path: str, info: dict[str, Any], zone: str) -> str:
    """Why a path is not read, and what to do; empty for a regular file of the drop zone.

    Args:
        path: of something that is no folder.
        info: what fsspec says of it.
        zone: the folder that links must not leave; empty where the file system has no links.
    """
    if not zone or "islink" not in info:
        return ""
    if info["islink"] and not os.path.exists(path):  # noqa: PTH110 - a link to itself is an error to pathlib
        return "is a link to nothing or to itself: deliver the file"
    real = os.path.realpath(path)
    if not Path(real).is_relative_to(zone):
        return (
            f"is read through a link that leaves the drop zone, to {printable(real)}: deliver a copy, "
            "or name the folder where it lies as a URL in `files`"
        )
    mode = os.stat(path).st_mode  # noqa: PTH116 - one call for link and file
    if stat.S_ISREG(mode):
        return ""
    return f"is {_KINDS.get(stat.S_IFMT(mode), 'a link to a folder')} and not a file: remove it"


def real_folder(path: str) -> str:
    """A folder without links, from which it is told what leaves it."""
    return os.path.realpath(path)
