"""Which files of a data folder others on the machine may read."""

from pathlib import Path


def open_to_others(data: Path) -> list[str]:
    """What its user does not have alone."""
    found = [data, *data.rglob("*")]
    return sorted(
        str(path.relative_to(data)) for path in found if not path.is_symlink() and path.lstat().st_mode & 0o077
    )
