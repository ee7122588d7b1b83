import os
import platform
from importlib.metadata import version
from pathlib import Path

_LIBRARIES = ("dagster", "duckdb", "deltalake", "pyarrow", "mlflow", "evidently", "great-expectations", "scikit-learn")


def describe() -> str:
    """The machine and the versions that a table was made with, and how busy it was when it began."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, {platform.system()}, "
        f"Python {platform.python_version()}; {libraries}; load before the run {os.getloadavg()[0]:.1f}"
    )


def _processor() -> str:
    """The processor's name, where Linux tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
