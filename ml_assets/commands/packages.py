"""Whether what is installed is what `uv.lock` names."""

import tomllib
from importlib.metadata import distributions
from pathlib import Path

from ml_assets.commands.finding import Finding

_INSTALL = "install what uv.lock names: `make run`, or `uv sync --frozen`"


def packages(lock: Path) -> Finding:
    """Whether what is installed is what the lock file names; a package that the lock does not know is no finding."""
    if not lock.is_file():
        return Finding("packages", "warn", f"there is no {lock}", "run from a checkout to compare versions with it")
    locked, needed = locked_versions(lock.read_text(encoding="utf-8"))
    installed = {_plain(distribution.name): distribution.version for distribution in distributions()}
    other = [
        f"{name} {installed[name]} (lock: {' or '.join(sorted(versions))})"
        for name, versions in sorted(locked.items())
        if name in installed and installed[name] not in versions
    ]
    missing = [f"{name} is missing" for name in sorted(needed - installed.keys())]
    if not other and not missing:
        return Finding("packages", "ok", f"{len(locked.keys() & installed.keys())} packages are those of uv.lock")
    return Finding("packages", "fail" if missing else "warn", ", ".join([*missing, *other]), _INSTALL)


def locked_versions(text: str) -> tuple[dict[str, set[str]], set[str]]:
    """Package → its versions in a uv.lock (several where platforms differ), and what the project itself needs here."""
    from packaging.markers import Marker

    versions: dict[str, set[str]] = {}
    needed: set[str] = set()
    for package in tomllib.loads(text).get("package", []):
        if "editable" in package.get("source", {}):
            needs = package.get("dependencies", [])
            here = [need for need in needs if "marker" not in need or Marker(need["marker"]).evaluate()]
            needed |= {_plain(need["name"]) for need in here}
        elif "version" in package:
            versions.setdefault(_plain(package["name"]), set()).add(package["version"])
    return versions, needed


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
