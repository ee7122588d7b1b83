"""A run of a folder's asset that lasts until it may end; it writes `begins` and `ends` to a file, a line each."""

import os
import time
import warnings
from collections.abc import Mapping
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

    def make(self, noted: Path, may_end: Path) -> dg.AssetsDefinition:
        """The asset; it ends once the file `may_end` is there."""

        @self.asset(self.key("slow_table"), "duckdb")
        def slow_table() -> Result:
            with noted.open("a", encoding="utf-8") as file:
                print("begins", file=file, flush=True)
                while not may_end.exists():
                    time.sleep(0.02)
                print("ends", file=file, flush=True)
            return Result()

        return slow_table


def run(environment: Mapping[str, str], noted: Path, may_end: Path) -> None:
    """Materialize it in this process, which is one of its own."""
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    warnings.simplefilter("ignore")
    asset = Slow(SlowSpec(), Path("late")).make(noted, may_end)
    with dg.DagsterInstance.get() as instance:
        assert dg.materialize([asset], instance=instance, tags=cli_tags("late")).success
