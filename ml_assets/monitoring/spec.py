"""The limits of a drift report, as a `defs.yaml` declares them."""

from typing import Self

from pydantic import Field

from ml_assets.declaration import Declaration


class Limits(Declaration):
    """What counts as drift. A limit that is null decides nothing; its number is reported all the same."""

    psi: float | None = Field(0.25, gt=0, description="Numbers: population stability index from")
    ks_statistic: float | None = Field(None, gt=0, le=1, description="Numbers: K-S statistic from")
    ks_p_value: float | None = Field(None, gt=0, lt=1, description="Numbers: K-S p-value below")
    jensen_shannon: float | None = Field(0.1, gt=0, lt=1, description="Categories: Jensen–Shannon distance from")
    chi_square_p: float | None = Field(
        None, gt=0, lt=1, description="Chi-square p-value of the bins or categories below"
    )
    missing: float | None = Field(0.1, gt=0, le=1, description="Change of the share of missing values from")


class DriftSpec(Limits):
    """A drift report: limits for all features, for single ones, and its bounds."""

    features: dict[str, Limits] = Field(default_factory=dict, description="Limits of single features")
    false_alarms: float = Field(
        0.001,
        gt=0,
        lt=1,
        description="How often chance alone may pass a limit: small samples must differ more",
    )
    bins: int = Field(10, ge=2, le=1000, description="Bins of the PSI, quantiles of the reference")
    sample: int = Field(20_000, ge=100, description="Rows compared at most, of each sample")
    seed: int = Field(0, ge=0, description="The seed that draws them")
    keep: int = Field(30, ge=1, description="HTML reports kept per folder, the last ones written")

    def limits(self, feature: str) -> Self:
        """The limits of one feature: its own where it names some, else those of the report."""
        own = self.features.get(feature)
        return self.model_copy(update=own.model_dump(exclude_unset=True)) if own else self
