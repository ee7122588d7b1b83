"""A reading child that cannot listen: for each file it is in C code for hours, and no other thread of it runs."""

import re
import tempfile
from pathlib import Path
from typing import Any

from ml_assets.documents import child


def search(*_: Any) -> Any:
    """Search as a regular expression that backtracks does."""
    Path(tempfile.gettempdir(), "searching").touch()
    return re.match(r"(a|aa)+$", "a" * 200 + "b")


if __name__ == "__main__":
    vars(child)["_answer"] = search
    child.main()
