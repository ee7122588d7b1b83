"""Files of documents and their reviews in a drop zone: each appears whole, and is never changed once it stands."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path

from ml_assets.errors import DataError
from ml_assets.examples.churn.files import describe
from ml_assets.examples.documents.history import REVIEW_WEEKS, DocumentArrival, Plan, arrivals
from ml_assets.storage.files import write_whole

Progress = Callable[[int, int], None]

_MANIFEST = "documents.json"
_NOVEL_SHARE = 5  # held-out layouts arrive in the last fifth of the weeks


def write(
    location: Path,
    *,
    documents: int = 1000,
    weeks: int = 26,
    end: date,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Path]:
    """Write the documents that arrive in the weeks up to `end`, and the reviews that were made until then.

    Documents stand in `files/`, when each arrived in `arrivals/<first day of the week>.jsonl`, and the reviews in
    `labels/` under the same name. Held-out layouts arrive in the last fifth of the weeks. A run that was
    interrupted is run again; with more weeks and documents at the same rate and from the same start, it adds.

    Args:
        location: the drop zone of one model, e.g. `data/incoming/documents`.
        documents: in all the weeks; about 2.5 % are scans of at most three pages, for OCR takes seconds a page.
        weeks: how many.
        end: the day after the last one.
        seed: of everything.
        progress: is told (weeks done, weeks in all) after each week.

    Returns:
        The files that this call added.

    Raises:
        DataError: the folder holds another history.
    """
    novel = end - timedelta(weeks=max(1, weeks // _NOVEL_SHARE))
    requested = Plan(end - timedelta(weeks=weeks), weeks, documents, weeks, novel, seed)
    before = find(location)
    if before and _identity(before) != _identity(requested):
        raise DataError(f"{location} holds another history of documents: append to it, or choose an empty folder")
    plan = replace(before, weeks=max(before.weeks, weeks)) if before else requested
    return _written(location, plan, progress)


def append(location: Path, weeks: int, progress: Progress | None = None) -> list[Path]:
    """Let `weeks` more weeks pass, at the same rate.

    Returns:
        The files that this call added.

    Raises:
        DataError: there is nothing to append to, or `weeks` is below 1.
    """
    if weeks < 1:
        raise DataError(f"{weeks} weeks cannot pass: append at least 1")
    plan = read(location)
    return _written(location, replace(plan, weeks=plan.weeks + weeks), progress)


def read(location: Path) -> Plan:
    """The history that a folder holds; `arrivals` of it are the truth behind its files.

    Raises:
        DataError: there is none.
    """
    plan = find(location)
    if plan is None:
        raise DataError(f"{location} holds no {_MANIFEST}: write documents first")
    return plan


def find(location: Path) -> Plan | None:
    """The history that a folder holds; None where there is none.

    Raises:
        DataError: the manifest cannot be understood.
    """
    path = location / _MANIFEST
    if not path.exists():
        return None
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        dates = {key: date.fromisoformat(fields[key]) for key in ("start", "novel")}
        return Plan(**{**fields, **dates})
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no manifest ({error!r}): remove the folder and write it again") from error


def _written(location: Path, plan: Plan, progress: Progress | None) -> list[Path]:
    """The manifest comes first: it fixes when new layouts begin, so that a later run draws the same documents."""
    if find(location) != plan:
        location.mkdir(parents=True, exist_ok=True)
        fields = asdict(plan) | {"start": plan.start.isoformat(), "novel": plan.novel.isoformat()}
        describe(location / _MANIFEST, fields)
    added: list[Path] = []
    for week in range(plan.weeks):
        added += _files(location, plan, week)
        added += _reviews(location, plan, week)
        if progress:
            progress(week + 1, plan.weeks)
    return added


def _files(location: Path, plan: Plan, week: int) -> list[Path]:
    """When the documents of a week arrived, and then they: whoever finds one knows since when it is there."""
    arriving = arrivals(plan, week)
    missing = {arrival: arrival.content() for arrival in arriving if not _file(location, arrival).exists()}
    register = location / "arrivals" / f"{plan.first_day(week)}.jsonl"
    added = []
    if not register.exists():
        contents = ((missing.get(arrival) or _file(location, arrival).read_bytes(), arrival) for arrival in arriving)
        added = [write_whole(register, "".join(_arrived(content, arrival) for content, arrival in contents).encode())]
    return added + [write_whole(_file(location, arrival), content) for arrival, content in missing.items()]


def _arrived(content: bytes, arrival: DocumentArrival) -> str:
    at = f"{arrival.at:%Y-%m-%dT%H:%M:%S}"
    return json.dumps({"document_id": hashlib.sha256(content).hexdigest(), "received_at": at}) + "\n"


def _reviews(location: Path, plan: Plan, week: int) -> list[Path]:
    """What was reviewed in a week, of that week's documents and of earlier ones."""
    begins = plan.first_day(week)
    path = location / "labels" / f"{begins}.jsonl"
    if path.exists():
        return []
    since, until = (datetime.combine(plan.first_day(at), time(), UTC) for at in (week, week + 1))
    recent = [arrival for at in range(max(0, week - REVIEW_WEEKS), week + 1) for arrival in arrivals(plan, at)]
    done = sorted((a.reviewed, a.name, a) for a in recent if a.reviewed and since <= a.reviewed < until)
    lines = [_review(location, arrival) for _, _, arrival in done]
    return [write_whole(path, "".join(lines).encode())] if lines else []


def _review(location: Path, arrival: DocumentArrival) -> str:
    content = _file(location, arrival).read_bytes()
    row = {
        "document_id": hashlib.sha256(content).hexdigest(),
        "label": arrival.truth().label,
        "reviewed_at": f"{arrival.reviewed:%Y-%m-%dT%H:%M:%S}",
        "reviewer": arrival.reviewer,
    }
    return json.dumps(row) + "\n"


def _file(location: Path, arrival: DocumentArrival) -> Path:
    return location / "files" / arrival.name


def _identity(plan: Plan) -> tuple[object, ...]:
    """What makes two histories the same, however long they are."""
    return plan.start, Fraction(plan.documents, plan.per), plan.seed
