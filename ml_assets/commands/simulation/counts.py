"""The counts of simulated traffic, by the variant that each request was assigned to."""

from dataclasses import dataclass, field

from ml_assets.decisions.route import CHAMPION


@dataclass
class VariantTraffic:
    """The requests that a variant was assigned.

    Args:
        requests: that were answered.
        customers: who were assigned to it.
        versions: version → requests that it answered: a fallback is the champion's.
        seconds: how long each took.
    """

    requests: int = 0
    customers: set[str] = field(default_factory=set)
    versions: dict[int, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def add(self, customer: str, version: int, seconds: float) -> None:
        """Count an answer."""
        self.requests += 1
        self.customers.add(customer)
        self.versions[version] = self.versions.get(version, 0) + 1
        self.seconds.append(seconds)

    def milliseconds(self, share: float) -> float:
        """A quantile of how long requests took."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass
class DrivenTraffic:
    """What came of simulated traffic.

    Args:
        variants: by the name of the variant.
        errors: status, or what the connection said → requests that were not answered.
        outcomes: that the server took.
        unreported: outcomes that it did not take.
        seconds: from the first request to the last.
    """

    variants: dict[str, VariantTraffic] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    outcomes: int = 0
    unreported: int = 0
    seconds: float = 0.0

    @property
    def requests(self) -> int:
        """All that were sent."""
        return sum(each.requests for each in self.variants.values()) + sum(self.errors.values())

    def lines(self) -> list[str]:
        """The counts for a terminal."""
        customers = len(set().union(*(each.customers for each in self.variants.values())))
        minutes, seconds = divmod(round(self.seconds), 60)
        first = (
            f"{self.requests:,} requests of {customers:,} customers in {minutes}:{seconds:02}; "
            f"{self.outcomes:,} outcomes reported"
        )
        first += f", {self.unreported:,} that the server did not take" if self.unreported else ""
        rows = [_line(name, counts) for name, counts in self._in_order()]
        return [first, *rows, *(f"  {count:,} requests got {error}" for error, count in sorted(self.errors.items()))]

    def _in_order(self) -> list[tuple[str, VariantTraffic]]:
        """The champion first."""
        return sorted(self.variants.items(), key=lambda item: (item[0] != CHAMPION, item[0]))


def _line(name: str, counts: VariantTraffic) -> str:
    versions = ", ".join(f"version {version} {count:,}" for version, count in sorted(counts.versions.items()))
    return (
        f"  {name:<12}{counts.requests:>8,} requests{len(counts.customers):>8,} customers   "
        f"p50 {counts.milliseconds(0.5):.1f} ms   p99 {counts.milliseconds(0.99):.1f} ms   answered by {versions}"
    )
