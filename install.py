"""What `make` installs into `.venv`: uv, then what `uv.lock` names. The standard library is enough to run it.

uv is given the certificates, the proxy and the index that pip was given, and the system's certificates otherwise. Where
it cannot get the packages all the same, pip installs the same versions, checked against the same hashes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

OLDEST = (3, 11)
# What pip calls it, and what uv does.
SETTINGS = {
    "cert": ("SSL_CERT_FILE",),
    "proxy": ("HTTPS_PROXY", "HTTP_PROXY"),
    "index-url": ("UV_DEFAULT_INDEX",),
    "extra-index-url": ("UV_INDEX",),
    "find-links": ("UV_FIND_LINKS",),
}
_LOOK = 0.2


class FailedError(Exception):
    """A command failed; the message is the end of what it said."""


def main() -> int:
    """Install; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=Path(".venv"))
    parser.add_argument("--uv", required=True, help="the version of uv")
    parser.add_argument("--dev", action="store_true", help="also what the tests need")
    asked = parser.parse_args()
    if sys.version_info < OLDEST:
        return _failed(
            f"Python {_dotted(OLDEST)} or newer is needed, this is {sys.version.split()[0]}: PYTHON=… make run"
        )
    try:
        _install(asked.venv, asked.uv, "" if asked.dev else "--no-dev")
    except FailedError as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        sys.stderr.write("\ninstall: stopped; what is installed is kept; run the same `make` again to go on\n")
        return 130
    return 0


def _install(folder: Path, version: str, dev: str) -> None:
    python, uv = str(folder / "bin" / "python"), str(folder / "bin" / "uv")
    sys.stderr.write(f"Installing into {folder} (once)\n")
    if not Path(python).exists() or not _output([python, "-m", "pip", "--version"]):  # or it was ended half-way
        _step(f"making {folder}", [sys.executable, "-m", "venv", "--clear", str(folder)])
    if not Path(uv).exists() or version not in _output([uv, "--version"]):
        _step(f"uv {version}", [python, "-m", "pip", "install", "--disable-pip-version-check", f"uv=={version}"])
    sys.stderr.write("  reading uv.lock and the settings of pip\n")
    own = {**_settings(python), "UV_PROJECT_ENVIRONMENT": str(folder), "UV_COMPILE_BYTECODE": "1"}
    flags = [flag for flag in ("--frozen", dev) if flag]
    lines = _output([uv, "export", *flags, "--no-hashes", "--no-header", "--no-annotate"], own).splitlines()
    progress = _counting(folder, sum(";" not in line for line in lines))  # a marker is of another system, mostly
    try:
        _step("packages of uv.lock", [uv, "sync", "--inexact", *flags], own, progress)
    except FailedError as error:
        sys.stderr.write(f"uv could not install them ({str(error).splitlines()[-1].strip()}); pip tries it\n")
        _with_pip(python, [uv, "export", *flags, "--no-emit-project"], own, progress)


def _with_pip(python: str, export: Sequence[str], own: Mapping[str, str], progress: Callable[[], str]) -> None:
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder) / "requirements.txt"
        names.write_text(_output(export, own), encoding="utf-8")
        _step("packages of uv.lock, with pip", [*pip, "--no-deps", "--require-hashes", "-r", str(names)], {}, progress)
    _step("this project", [*pip, "--no-deps", "-e", "."])


def _settings(python: str) -> dict[str, str]:
    """What pip is told of certificates, proxy and index, as uv wants it; what uv is told itself stands."""
    lines = (line.partition("=") for line in _output([python, "-m", "pip", "config", "list"]).splitlines())
    known = {key.strip().rpartition(".")[2]: value.strip("' ") for key, _, value in lines}
    found = {name: known[key] for key, names in SETTINGS.items() if known.get(key) for name in names}
    return {"UV_SYSTEM_CERTS": "1", **{name: value for name, value in found.items() if name not in os.environ}}


def _counting(folder: Path, wanted: int) -> Callable[[], str]:
    """How many packages are there: what an installer says of it differs from one to the next."""

    def progress() -> str:
        there = sum(1 for _ in folder.glob("lib/python*/site-packages/*.dist-info"))
        return f"{there} of {wanted}" if there < wanted else "compiling"

    return progress


def _step(
    name: str, command: Sequence[str], own: Mapping[str, str] | None = None, progress: Callable[[], str] = lambda: ""
) -> None:
    """Run a command; at a terminal say how long it has been at work.

    Raises:
        FailedError: it failed; what it said.
    """
    terminal, started = sys.stderr.isatty() and os.environ.get("TERM") != "dumb", time.monotonic()
    last = started
    if not terminal:
        sys.stderr.write(f"  {name} ...\n")
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603 - our own command
            command, env={**os.environ, **(own or {})}, stdout=said, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        ) as process,
    ):
        while process.poll() is None:
            time.sleep(_LOOK)
            if terminal:
                sys.stderr.write(f"\r\x1b[K  {name}  {progress()}  {_elapsed(started)}")
            elif sys.stderr.isatty() and time.monotonic() - last > 1.5:
                last = time.monotonic()
                sys.stderr.write(f"  {name}  {progress()}  {_elapsed(started)}\n")
            sys.stderr.flush()
        if terminal:
            sys.stderr.write(f"\r\x1b[K  {name}  {_elapsed(started)}\n")
        if process.returncode:
            raise FailedError(_end(said))


def _end(said: IO[bytes]) -> str:
    said.seek(0)
    return "\n".join(said.read().decode(errors="replace").strip().splitlines()[-6:]) or "it said nothing"


def _output(command: Sequence[str], own: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(  # noqa: S603 - our own command
        command,
        env={**os.environ, **(own or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    return done.stdout


def _elapsed(started: float) -> str:
    seconds = int(time.monotonic() - started)
    return f"{seconds // 60}:{seconds % 60:02}"


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))


def _failed(sentence: str) -> int:
    sys.stderr.write(f"install: {sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
