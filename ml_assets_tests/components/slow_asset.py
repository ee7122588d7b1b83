"""`python -m ml_assets_tests.components.slow_asset FILE SECONDS`: a run of a folder's asset that takes so long.

It writes when it began and when it ended to the file, a line each.
"""

import sys
import time
import warnings
from pathlib import Path

import dagster as dg

from ml_assets.components.base import Result, SpecComponent
from ml_assets.components.dead_runs import cli_tags
from ml_assets.spec.base import Declaration


class SlowSpec(Declaration):
    """Nothing to declare."""


class Slow(SpecComponent[SlowSpec]):
    """An asset like every other of a folder."""

    declaration = SlowSpec
    assets = ("slow_table",)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        raise NotImplementedError

    def make(self, noted: Path, seconds: float) -> dg.AssetsDefinition:
        """The asset."""

        @self.asset(self.key("slow_table"), "duckdb")
        def slow_table() -> Result:
            with noted.open("a", encoding="utf-8") as file:
                print("begins", file=file, flush=True)
                time.sleep(seconds)
                print("ends", file=file, flush=True)
            return Result()

        return slow_table


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    asset = Slow(SlowSpec(), Path("late")).make(Path(sys.argv[1]), float(sys.argv[2]))
    with dg.DagsterInstance.get() as instance:
        assert dg.materialize([asset], instance=instance, tags=cli_tags("late")).success
