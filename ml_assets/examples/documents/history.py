"""Which documents arrive when, in which format, and when somebody says what they are. Nothing is drawn here yet."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from ml_assets.errors import DataError
from ml_assets.examples.documents import markup
from ml_assets.examples.documents.dice import Dice
from ml_assets.examples.documents.draw import Drawn, draw, reflow, short
from ml_assets.examples.documents.excerpt import Part, choose_part, excerpt
from ml_assets.examples.documents.pdf import pdf
from ml_assets.examples.documents.scan import ScanFormat, scan
from ml_assets.examples.documents.truth import Truth

Format = Literal["pdf", "scan-pdf", "scan-png", "scan-jpeg", "scan-tiff", "docx", "html", "txt"]
_MIX: tuple[tuple[Format, float], ...] = (
    ("pdf", 0.645),
    ("scan-pdf", 0.015),
    ("scan-tiff", 0.005),
    ("scan-jpeg", 0.0025),
    ("scan-png", 0.0025),
    ("docx", 0.15),
    ("html", 0.1),
    ("txt", 0.08),
)
_SUFFIX: dict[Format, str] = {
    "pdf": "pdf", "scan-pdf": "pdf", "scan-png": "png", "scan-jpeg": "jpg", "scan-tiff": "tif",
    "docx": "docx", "html": "html", "txt": "txt",
}  # fmt: skip
_SCANNED: dict[Format, ScanFormat] = {
    "scan-pdf": "pdf", "scan-png": "png", "scan-jpeg": "jpeg", "scan-tiff": "tiff",
}  # fmt: skip
_WRITTEN: dict[Format, Callable[[Drawn], bytes]] = {
    "pdf": pdf, "docx": markup.docx, "html": markup.html, "txt": markup.plain,
}  # fmt: skip
_SCAN_PAGES = 3  # OCR costs seconds a page
_NOVEL = 0.5  # the share of held-out layouts, once they arrive
_REVIEWED = 0.85
REVIEW_WEEKS = 4  # nobody takes longer
_REVIEWERS = ("a.morgan", "d.okafor", "j.lindqvist", "r.patel")


@dataclass(frozen=True)
class Plan:
    """A history of documents.

    Args:
        start: its first day.
        weeks: how many.
        documents: in the first `per` weeks; the same rate holds later.
        per: see `documents`.
        novel: the day from which held-out layouts arrive too.
        seed: of everything.
    """

    start: date
    weeks: int
    documents: int
    per: int
    novel: date
    seed: int

    def __post_init__(self) -> None:
        if min(self.weeks, self.documents, self.per) < 1 or self.seed < 0:
            raise DataError(f"{self}: documents and weeks are at least 1, and a seed is at least 0")

    @property
    def end(self) -> date:
        """The day after the last one."""
        return self.first_day(self.weeks)

    def first_day(self, week: int) -> date:
        """The first day of a week, counted from 0."""
        return self.start + timedelta(weeks=week)

    def count(self, week: int) -> int:
        """How many documents arrive in a week."""
        return (week + 1) * self.documents // self.per - week * self.documents // self.per


@dataclass(frozen=True)
class DocumentArrival:
    """A document that arrives.

    Args:
        key: its seed.
        name: of its file; it tells nothing.
        at: when it arrives, UTC.
        form: how it is written.
        novel: its layout is one that is held out.
        part: which part of a document it is; None for a whole one, as every scan is.
        reviewed: when somebody says what it is, UTC; None for nobody.
        reviewer: who.
    """

    key: tuple[int, ...]
    name: str
    at: datetime
    form: Format
    novel: bool
    part: Part | None
    reviewed: datetime | None
    reviewer: str

    def draw_document(self) -> Drawn:
        """The document; scans are short, and the formats that hold one page have one."""
        if self.form not in _SCANNED:
            whole = draw(self.key, held_out=self.novel)
            return excerpt(whole, self.part, Dice(*self.key, 8)) if self.part else whole
        single = self.form in {"scan-png", "scan-jpeg"}
        return short(self.key, 1 if single else _SCAN_PAGES, held_out=self.novel)

    def truth(self) -> Truth:
        """What is true of the file."""
        document = self.draw_document()
        return reflow(document) if self.form in {"docx", "html", "txt"} else document.truth

    def content(self) -> bytes:
        """The bytes of the file."""
        document = self.draw_document()
        if self.form in _SCANNED:
            return scan(pdf(document), self.key, _SCANNED[self.form])
        return _WRITTEN[self.form](document)


def arrivals(plan: Plan, week: int) -> list[DocumentArrival]:
    """The documents of a week, in the order of their numbers. They do not depend on how long the history is."""
    return [_arrival(plan, week, number) for number in range(plan.count(week))]


def _arrival(plan: Plan, week: int, number: int) -> DocumentArrival:
    key = (plan.seed, week, number)
    dice = Dice(*key, 7)  # not the numbers that draw the document
    form = dice.weighted_choice(_MIX)
    at = _moment(plan.first_day(week), dice)
    novel = dice.chance(_NOVEL) and plan.first_day(week) >= plan.novel
    name = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
    reviewed = at + timedelta(seconds=_delay(dice)) if dice.chance(_REVIEWED) else None
    reviewer, part = dice.pick(_REVIEWERS), choose_part(dice)
    return DocumentArrival(key, f"{name}.{_SUFFIX[form]}", at, form, novel, part, reviewed, reviewer)


def _moment(begins: date, dice: Dice) -> datetime:
    """In office hours of a day of the week, most of them working days."""
    midnight = datetime.combine(begins, time(), UTC)
    days = [day for day in range(7) if (begins + timedelta(days=day)).weekday() < 5 or dice.chance(0.1)]
    return midnight + timedelta(days=dice.pick(days), seconds=dice.between(8 * 3600, 18 * 3600))


def _delay(dice: Dice) -> int:
    """Seconds from two hours to almost four weeks; half are reviewed within four days."""
    longest = (REVIEW_WEEKS * 7 - 1) * 86_400
    return int(7_200 + (longest - 7_200) * dice.unit() ** 2.8)
