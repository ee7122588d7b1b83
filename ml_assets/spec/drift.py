"""The limits of a drift report, as a `defs.yaml` declares them."""

from typing import Literal, Self

from pydantic import Field

from ml_assets.spec.base import Declaration


class DriftLimits(Declaration):
    """What counts as drift. A limit that is null decides nothing; its number is reported all the same.

    The limits say what is worth knowing, the tests (`false_alarms`) what is no chance: drift is both. A normal
    feature that moves by half a standard deviation has a PSI of .24, any other feature more, and .02 of chance
    beside it at 3,000 rows: 0.2 sees it in 98 of 100 reports, the usual .25 in one of three.
    """

    psi: float | None = Field(0.2, gt=0, description="Numbers: population stability index from")
    ks_statistic: float | None = Field(None, gt=0, le=1, description="Numbers: K-S statistic from")
    ks_p_value: float | None = Field(None, gt=0, lt=1, description="Numbers: K-S p-value below")
    jensen_shannon: float | None = Field(0.1, gt=0, lt=1, description="Categories: Jensen–Shannon distance from")
    chi_square_p: float | None = Field(
        None, gt=0, lt=1, description="Chi-square p-value of the bins or categories below"
    )
    missing: float | None = Field(0.1, gt=0, le=1, description="Change of the share of missing values from")


class DriftSpec(DriftLimits):
    """A drift report: limits for all features, for single ones, and its bounds."""

    features: dict[str, DriftLimits] = Field(default_factory=dict, description="Limits of single features")
    reference: Literal["training", "release", "previous", "same_season"] = Field(
        "training",
        description="What the population is compared with: the champion's training sample, the population at the "
        "as-of date of its release, at the date before, or a year before",
    )
    false_alarms: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="Share of the reports of a population that does not change in which chance alone may pass a limit",
    )
    min_rows: int = Field(200, ge=1, description="Values of a feature in each sample, below which there is no verdict")
    bins: int = Field(10, ge=2, le=1000, description="Bins of the PSI, quantiles of the reference")
    scores: float | None = Field(0.2, gt=0, description="The champion's scores: population stability index from")
    attribution: float | None = Field(
        0.9, gt=0, lt=1, description="What the champion leans on: NDCG of the ranking of features below"
    )
    sample: int = Field(
        20_000, ge=100, description="Rows drawn at most of each sample: for scores, and for Evidently's page"
    )
    seed: int = Field(0, ge=0, description="The seed that draws them")
    evidently: Literal["drifted", "always", "never"] = Field(
        "drifted", description="When Evidently's page (seconds, megabytes) is written beside ours"
    )
    keep: int = Field(30, ge=1, description="HTML pages of each kind kept per folder, the last ones written")

    def limits(self, feature: str) -> Self:
        """The limits of one feature: its own where it names some, else those of the report."""
        own = self.features.get(feature)
        return self.model_copy(update=own.model_dump(exclude_unset=True)) if own else self
