"""The code location of a live shop, for Dagster's own daemon: the rollout that its folder declares, and no more."""

from pathlib import Path
from types import ModuleType

import dagster as dg

from ml_assets.components import sensors
from ml_assets.components.tree import FolderTree
from ml_assets.settings import PROJECT, read_settings

MODEL = "shop"


def load(defs: Path) -> dg.Definitions:
    """Sensor and assets of the rollout below a folder `defs`; the rest of the loop would take a run for each step.

    Raises:
        AssertionError: the folder cannot be loaded.
    """
    sensors.ALWAYS["minimum_interval_seconds"] = 1  # in place of 15 s, for which a test would wait
    module = ModuleType("ml_assets.defs")
    module.__file__, module.__path__ = None, [str(defs)]
    tree = FolderTree(defs_module=module, project_root=PROJECT)
    assert tree.broken == {}, tree.broken
    shop = tree.build_defs_at_path(MODEL)
    resources = tree.build_defs_at_path(defs / "resources.py")
    return dg.Definitions(
        assets=[shop.get_assets_def(dg.AssetKey([MODEL, name])) for name in ("rollout", "incident")],
        sensors=[each for each in shop.sensors or () if each.name == f"{MODEL}_rollout"],
        resources=resources.resources,
        executor=dg.in_process_executor,
    )


location = load(read_settings().data / "defs")
