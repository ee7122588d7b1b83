"""Kills the process groups that it is told of as soon as whoever started it is gone, whatever ended that one.

Run by its path, so that it is a process of a few megabytes: it may import nothing but the standard library. The number
of a group is a line of its standard input, which ends when its parent does; whoever stops by itself kills it first.
"""

import os
import signal
import sys
from contextlib import suppress


def main() -> None:
    """Wait for the parent's end, then kill what it started and all that this has started."""
    groups = [int(line) for line in sys.stdin]
    for group in groups:
        with suppress(OSError):  # it ended before
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
