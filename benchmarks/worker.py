"""The other end of `process.call`: one function in this process, its result and peak memory into a file."""

import importlib
import json
import resource
import sys
from pathlib import Path


def main(function: str, arguments: str, answer: str) -> None:
    """Call the function and write what it returns."""
    module, _, name = function.partition(":")
    result = getattr(importlib.import_module(f"benchmarks.{module}"), name)(**json.loads(arguments))
    # Kilobytes on Linux, bytes on macOS. On Linux a child inherits its parent's peak: the parent imports nothing big.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)
    Path(answer).write_text(json.dumps({"result": result, "peak": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
