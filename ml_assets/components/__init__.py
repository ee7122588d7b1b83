"""How a declaration becomes assets: the component types that a `defs.yaml` names."""

from ml_assets.components.experiment import Experiment
from ml_assets.components.feature_view import FeatureView
from ml_assets.components.model import Model
from ml_assets.components.monitor import Monitor
from ml_assets.components.rollout import Rollout
from ml_assets.components.source import Source

__all__ = ["Experiment", "FeatureView", "Model", "Monitor", "Rollout", "Source"]
