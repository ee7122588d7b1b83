"""Why something in a drop zone is not read: pipes, sockets, links that leave it; and names that cannot be printed."""

import os
import stat
import unicodedata
from pathlib import Path
from typing import Any

_KINDS = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def printable(name: str) -> str:
    r"""A name of any bytes as text that a table, a log and a terminal hold.

    >>> print(printable(os.fsdecode(b"caf\xe9.csv")), printable("two\nlines.csv"))
    caf\xe9.csv two\nlines.csv
    """
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(sign if _shown(sign) else sign.encode("unicode_escape").decode() for sign in text)


def _shown(sign: str) -> bool:
    return unicodedata.category(sign)[0] != "C" and unicodedata.category(sign) not in {"Zl", "Zp"}


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
