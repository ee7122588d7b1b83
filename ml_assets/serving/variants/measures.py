"""What is written of the answers of a split: to which variant a unit was exposed, and what went wrong with it.

Each is written once a unit, so a decision counts units, not requests: who comes back counts once. The store keeps the
first row of each key; what a process has written it does not write again.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable
from itertools import accumulate
from operator import or_
from typing import NamedTuple

from ml_assets.events.exposures import ERROR, FAILURES, MISSING, SLOW, Exposure, VariantFailure
from ml_assets.events.rows import Event, Prediction
from ml_assets.serving.models.split import TrafficSplit
from ml_assets.serving.recorder import Recorder

_MOST = 50_000  # units of a stage that a process remembers: about 12 MB

# Marks of a unit are bits: that it was exposed, each kind of failure, and that others have answered it in shadow, or do
# not.
EXPOSED = 1
_BITS = {reason: 2 << at for at, reason in enumerate(FAILURES)}
# By the number of limits that were exceeded.
_SLOW_BITS: tuple[int, ...] = (0, *accumulate((_BITS[reason] for reason in SLOW), or_))
FAILED = _BITS[ERROR]
SETTLED = 2 << len(FAILURES)


class AssignedRow(NamedTuple):
    """A row of a request, and who was to answer it.

    Args:
        unit: that is counted; None: it is not, because it has no name, or not every variant could answer it.
        variant: that was assigned.
    """

    unit: str | None
    variant: str


class MeasuredUnits:
    """The units of one stage that this process has measured, with their marks.

    Args:
        stage: what tells it from another one.
    """

    def __init__(self, stage: object) -> None:
        self.stage = stage
        self._marks: dict[str, int] = {}
        self._variants: dict[str, str] = {}

    def new_marks(self, unit: str, marks: int) -> int:
        """Those that are not written of a unit."""
        return marks & ~self._marks.get(unit, 0)

    def variant(self, split: TrafficSplit, unit: str) -> str:
        """The variant of a unit, worked out once."""
        variant = self._variants.get(unit)
        if variant is None:
            variant = self._variants[unit] = split.assign(unit)
            if len(self._variants) > _MOST:
                del self._variants[next(iter(self._variants))]
        return variant

    def remember(self, unit: str, marks: int) -> None:
        """Marks of a unit are on disk. Where there are too many units, the one that came first is forgotten."""
        self._marks[unit] = self._marks.get(unit, 0) | marks
        if len(self._marks) > _MOST:
            del self._marks[next(iter(self._marks))]


class Measures:
    """The units that this process has measured, by model."""

    def __init__(self) -> None:
        self._units: dict[str, MeasuredUnits] = {}

    def units(self, split: TrafficSplit) -> MeasuredUnits:
        """Those of the stage of a split; with other shares or another salt, units are measured anew."""
        model = split.route.model
        units = self._units.get(model)
        if units is not None and units.stage is split.stage:
            return units
        if units is None or units.stage != split.stage:
            units = self._units[model] = MeasuredUnits(split.stage)
        units.stage = split.stage  # of a lease that was renewed: to compare what is the same is quicker
        return units


class Measured:
    """What is to be written of the answers to one request, beside the answers.

    Args:
        split: of the route.
        units: of its stage.
    """

    def __init__(self, split: TrafficSplit, units: MeasuredUnits) -> None:
        self.rows: list[Event] = []
        self._split = split
        self._units = units
        self._marks: list[tuple[str, int]] = []

    def add(self, row: AssignedRow, marks: int, prediction_id: str, at: int) -> None:
        """Write marks of the unit of a row, as far as they are new.

        Args:
            row: as it was assigned.
            marks: of its answer.
            prediction_id: of the answer; empty where there is none.
            at: when the request came, microseconds since 1970.
        """
        experiment, unit = self._split.route.experiment, row.unit
        if not self._split.splits or experiment is None or unit is None:
            return
        if not (new := self._units.new_marks(unit, marks)):
            return
        key = (self._split.route.model, experiment, unit, row.variant)
        if new & EXPOSED:
            self.rows.append(Exposure(*key, prediction_id, at))
        self.rows += [VariantFailure(*key, reason, prediction_id, at) for reason, bit in _BITS.items() if new & bit]
        self._marks.append((unit, new))

    async def write_failures(self, recorder: Recorder, rows: Iterable[AssignedRow], at: int) -> None:
        """Write that units of the default variant got no answer, or it would look better than one that is replaced.

        Args:
            recorder: of events.
            rows: as they were assigned, those of other variants too.
            at: when the request came, microseconds since 1970.
        """
        for row in rows:
            if row.variant == self._split.default.variant:
                self.add(row, EXPOSED | FAILED, "", at)
        if self.rows and await recorder.probe(self.rows):
            self.remember()

    def remember(self) -> None:
        """All rows are on disk."""
        for unit, marks in self._marks:
            self._units.remember(unit, marks)


def answer_marks(
    split: TrafficSplit, variant: str, missing: Collection[str], prediction: Prediction, *, failed: bool
) -> int:
    """The marks of an answer: that its unit was exposed, and what went wrong.

    Args:
        split: of the route.
        variant: that was assigned.
        missing: the features without a value. One that rows of the training lacked, too, is no failure.
        prediction: what is recorded of the answer.
        failed: another variant answered than the one that was assigned.
    """
    marks = EXPOSED | FAILED if failed else EXPOSED
    model = split.models[variant]
    if missing and not failed and model is not None and not model.expected.isdisjoint(missing):
        marks |= _BITS[MISSING]
    # Limits are in order; where there are none, latency is not measured.
    return marks | _SLOW_BITS[bisect_left(split.limits[variant], prediction.latency)]


def is_drawn(split: TrafficSplit, units: MeasuredUnits, unit: str) -> bool:
    """Tell whether the other variants are to answer a unit in shadow, and have not; a unit is drawn once."""
    if not units.new_marks(unit, SETTLED):
        return False
    if split.is_shadowed(unit):
        return True
    units.remember(unit, SETTLED)
    return False
