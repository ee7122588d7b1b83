"""`ml-assets`, and `python -m ml_assets`: Ctrl-C is one line and 130 from the first import on."""

import os
import sys


def main() -> None:
    """The console script. Nothing heavy is imported before somebody listens for Ctrl-C."""
    try:
        from ml_assets.cli import main as command

        command()
    except KeyboardInterrupt:
        erase = "\r\x1b[2K" if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else ""
        sys.stderr.write(f"{erase}ml-assets: stopped before anything was done; run the same command again\n")
        sys.stderr.flush()
        os._exit(130)


if __name__ == "__main__":
    main()
