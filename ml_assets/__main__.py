"""`ml-assets`, and `python -m ml_assets`: Ctrl-C is one line and 130 from the first import on."""

import os
import signal
import sys


def main() -> None:
    """The console script. Nothing is imported before somebody listens for Ctrl-C."""
    signal.signal(signal.SIGINT, _stop)  # until the command listens itself
    from ml_assets.cli import main as command

    command()


def _stop(*_: object) -> None:
    """End at once: nothing was done yet, and a library that is being imported may swallow `KeyboardInterrupt`."""
    erase = "\r\x1b[2K" if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else ""
    os.write(2, f"{erase}ml-assets: stopped before anything was done; run the same command again\n".encode())
    os._exit(130)


if __name__ == "__main__":
    main()
