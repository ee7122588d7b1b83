"""`ml-assets data traffic` refuses what would come to nothing, before it makes or sends anything."""

import pytest

from ml_assets.commands.project import Project
from ml_assets.commands.simulation.driver import TrafficPlan
from ml_assets.commands.traffic import traffic
from ml_assets.errors import DeclarationError
from ml_assets.settings import PROJECT


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::DeprecationWarning")  # Dagster's own
def test_a_challenger_needs_a_rollout_that_takes_it() -> None:
    with pytest.raises(DeclarationError, match="documents declares no rollout, so a challenger would wait for ever"):
        traffic(Project(PROJECT), TrafficPlan("http://127.0.0.1:1", "documents", ""), "slow")
