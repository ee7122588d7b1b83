"""Which files of a data folder others on the machine may read."""

from pathlib import Path

_CODE = {"ml_assets_scorer.py", "pyproject.toml", "uv.lock"}
"""Copies of what everybody may read keep their modes; nobody gets to them."""


def open_to_others(data: Path) -> list[str]:
    """What its user does not have alone; deliveries are somebody else's."""
    found = [data, *data.rglob("*")]
    return sorted(
        str(path.relative_to(data))
        for path in found
        if not path.is_symlink() and path.lstat().st_mode & 0o077 and path.name not in _CODE
    )
