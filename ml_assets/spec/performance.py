"""The bounds of a performance report, as a `defs.yaml` declares them."""

from pydantic import Field

from ml_assets.spec.base import Declaration


class PerformanceSpec(Declaration):
    """A performance report: over which dates it measures, from how many rows on, and how it draws its intervals."""

    window: int = Field(4, ge=1, description="Last scored as-of dates with mature labels, pooled in the main numbers")
    min_rows: int = Field(100, ge=1, description="Rows below which a date or slice is only counted")
    resamples: int = Field(500, ge=100, description="Draws behind each interval: of entities, or of labels")
    seed: int = Field(0, ge=0, description="The seed of those draws")
