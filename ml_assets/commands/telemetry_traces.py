"""Whether a library reports to its maker: it is imported where it finds an empty home, and what it leaves is seen."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

_IMPORTED = "import onnxruntime"  # the one that reports as soon as it is imported: it makes an id of this machine first


def traces(environment: Mapping[str, str]) -> list[str]:
    """The files that ONNX Runtime leaves where it is imported by a process with this environment.

    Raises:
        CalledProcessError: it cannot be imported.
    """
    with TemporaryDirectory() as home:
        places = {"HOME": home, "TMPDIR": home, "XDG_CACHE_HOME": home}
        command = [sys.executable, "-P", "-c", _IMPORTED]
        subprocess.run(command, env={**environment, **places}, capture_output=True, check=True)  # noqa: S603 - ours
        return sorted(path.name for path in Path(home).rglob("*") if path.is_file())
