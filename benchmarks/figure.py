from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One line of the table: what we take, what the peer takes in the same run, and what we promise.

    Args:
        name: what was measured.
        unit: of both numbers.
        ours: every repetition; the median counts.
        peer: every repetition of the peer; empty = there is none, the limit is then on our own number.
        limit: the most that the ratio (without a peer: our number) may be; None = shown, not promised.
        at_least: the least, where more is better; a figure has one of the two.
    """

    name: str
    unit: str
    ours: tuple[float, ...]
    peer: tuple[float, ...] = ()
    limit: float | None = None
    at_least: float | None = None

    @property
    def ratio(self) -> float | None:
        """Our median over the peer's; None without a peer, and where it has nothing."""
        return median(self.ours) / median(self.peer) if self.peer and median(self.peer) else None

    @property
    def met(self) -> bool | None:
        """Whether the promise is kept; None where there is none."""
        found = median(self.ours) if self.ratio is None else self.ratio
        if self.at_least is not None:
            return found >= self.at_least
        return None if self.limit is None else found <= self.limit

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, with what follows from the measurements."""
        return asdict(self) | {"ratio": self.ratio, "met": self.met}


def figures(
    name: str,
    unit: str,
    ours: Iterable[float],
    peer: Iterable[float] = (),
    limit: float | None = None,
    at_least: float | None = None,
) -> Figure:
    """A figure from what was measured."""
    return Figure(name, unit, tuple(ours), tuple(peer), limit, at_least)


def table(found: Sequence[Figure]) -> str:
    """The figures as a Markdown table: medians, with the spread of the repetitions."""
    lines = ["| measured | ours | peer | ratio | promised | kept |", "| --- | --- | --- | --- | --- | --- |"]
    return "\n".join(lines + [f"| {' | '.join(_cells(figure))} |" for figure in found])


def _cells(figure: Figure) -> list[str]:
    of = "" if figure.ratio is not None else f" {figure.unit}"
    return [
        figure.name,
        _shown(figure.ours, figure.unit),
        _shown(figure.peer, figure.unit),
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        _promised(figure) + of if _promised(figure) else "",
        {None: "", True: "yes", False: "**no**"}[figure.met],
    ]


def _promised(figure: Figure) -> str:
    if figure.at_least is not None:
        return f"≥ {figure.at_least:g}"
    return "" if figure.limit is None else f"≤ {figure.limit:g}"


def _shown(values: Sequence[float], unit: str) -> str:
    if not values:
        return ""
    spread = f" ({min(values):.3g}–{max(values):.3g})" if len(values) > 1 else ""
    return f"{median(values):.3g} {unit}{spread}" if max(values) < 1000 else f"{median(values):,.0f} {unit}"
