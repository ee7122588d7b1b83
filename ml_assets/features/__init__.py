from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml_assets.features.notebook import FeatureStore

__all__ = ["FeatureStore"]


def __getattr__(name: str) -> object:
    """`FeatureStore`, imported when it is asked for: the package itself stays light."""
    if name == "FeatureStore":
        from ml_assets.features.notebook import FeatureStore

        return FeatureStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
