"""The decision to release a version: typed checks and a policy in, a verdict with its reason out.

A check that is not known is `not_judged`, and neither passed nor failed. Every check that there is has an entry in
`CHECKS`; a function of the same name in `release/checks.py` judges it. One without a function is not judged, and its
entry says why.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Literal

from ml_assets.decisions.gate import GateAction
from ml_assets.decisions.verdict import Verdict

RecordStage = Literal["candidate", "rollout", "watch"]

LONGEST_WAIVER = timedelta(days=90)
"""What is waived for longer is not waived but switched off, and that is a change of the declaration."""

NO_REHEARSAL = "no rehearsal has taken place"


class CheckStatus(StrEnum):
    """What is known of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_JUDGED = "not_judged"
    WAIVED = "waived"


@dataclass(frozen=True)
class CheckKind:
    """A check that there is.

    Args:
        name: as `release.require`, waivers and records write it.
        stage: when in the life of a version it is judged.
        rule: when it passes, in words.
        unjudged: why it is not judged where nothing judges it yet.
        waivable: a person may let it pass for a while.
    """

    name: str
    stage: RecordStage
    rule: str
    unjudged: str = ""
    waivable: bool = True


CHECKS: dict[str, CheckKind] = {
    kind.name: kind
    for kind in (
        CheckKind("accuracy", "candidate", "Every gate of ship_when passes", waivable=False),
        CheckKind("latency", "candidate", "The server answers in time, as a client sees it", NO_REHEARSAL),
        CheckKind("load", "candidate", "Every request of the declared rate is answered and recorded", NO_REHEARSAL),
        CheckKind("security", "candidate", "The artifact is harmless, and no package has a known vulnerability"),
        CheckKind("explainability", "candidate", "Reasons add up, are stable, and matter"),
        CheckKind("fairness", "candidate", "No group differs by more than is declared"),
        CheckKind("dashboards", "candidate", "The server has every number that the dashboard shows", NO_REHEARSAL),
        CheckKind("alerts", "candidate", "A rule is declared, and each URL took a message within 30 days"),
        CheckKind("rollback", "candidate", "Champion and candidate are swapped under load in time", NO_REHEARSAL),
        CheckKind("benchmark", "candidate", "A request costs about what it costs the champion", NO_REHEARSAL),
        CheckKind("documentation", "candidate", "README, a description of each source and view, a card without a hole"),
        CheckKind("canary", "rollout", "The rollout promotes it"),
        CheckKind("tracking", "watch", "Its predictions are reported"),
        CheckKind("drift", "watch", "Its drift report is fresh"),
        CheckKind("feedback", "watch", "Outcomes of its answers come back"),
        CheckKind("business_impact", "watch", "Its value is measured"),
        CheckKind("evaluation", "watch", "Its performance report is fresh"),
        CheckKind("retraining", "watch", "A policy or a schedule is on"),
    )
}
"""In the order of a record."""


def names_at(stage: RecordStage) -> tuple[str, ...]:
    """The names of the checks of a stage, in their order."""
    return tuple(name for name, kind in CHECKS.items() if kind.stage == stage)


@dataclass(frozen=True)
class Check:
    """What one check came to.

    Args:
        name: one of `CHECKS`.
        status: what is known.
        reason: the sentence that a person reads.
        value: that was compared; None: there is no single number.
        limit: that it was compared with.
        evidence: the SHA-256 of the file, or the version of the table, that it was read from.
    """

    name: str
    status: CheckStatus
    reason: str
    value: float | None = None
    limit: float | None = None
    evidence: str | None = None


@dataclass(frozen=True)
class Waiver:
    """A person lets a check pass that did not, for a while.

    Args:
        check: its name.
        person: who takes it on.
        reason: why.
        until: the last day on which it holds.
    """

    check: str
    person: str
    reason: str
    until: date


class WaiverError(ValueError):
    """A waiver that cannot be given; the message says what would be right."""


@dataclass(frozen=True)
class ReleasePolicy:
    """What a release asks for.

    Args:
        require: the checks that have to pass, or be waived; any other may be not judged. A check that fails blocks.
    """

    require: Collection[str]


ReleaseVerdict = Verdict[GateAction, Check]


def require_waivable(waiver: Waiver, today: date) -> None:
    """Return if a waiver may be given.

    Raises:
        WaiverError: there is no such check, it cannot be waived, or the time is over or too long.
    """
    kind = CHECKS.get(waiver.check)
    if kind is None or kind.stage != "candidate":
        raise WaiverError(f"{waiver.check!r} is no check of a candidate: use one of {', '.join(names_at('candidate'))}")
    if not kind.waivable:
        raise WaiverError(f"{waiver.check} cannot be waived: change ship_when in defs.yaml, where everybody sees it")
    days = (waiver.until - today).days
    if not 0 <= days <= LONGEST_WAIVER.days:
        over = "that is over" if days < 0 else f"{days} days; at most {LONGEST_WAIVER.days}"
        raise WaiverError(f"waiver of {waiver.check} ends {waiver.until}: {over}")


def apply_waivers(checks: Iterable[Check], waivers: Iterable[Waiver], today: date) -> tuple[Check, ...]:
    """The checks, of which those that did not pass are waived where the last waiver of them still holds.

    Args:
        checks: as they were judged.
        waivers: the oldest first.
        today: on which is decided.
    """
    last = {waiver.check: waiver for waiver in waivers}
    return tuple(_waive(check, last.get(check.name), today) for check in checks)


def _waive(check: Check, waiver: Waiver | None, today: date) -> Check:
    if waiver is None or check.status is CheckStatus.PASSED or today > waiver.until:
        return check
    reason = f"waived by {waiver.person} until {waiver.until}: {waiver.reason} ({check.status.value}: {check.reason})"
    return replace(check, status=CheckStatus.WAIVED, reason=reason)


def decide(policy: ReleasePolicy, checks: Sequence[Check]) -> ReleaseVerdict:
    """Ship if nothing failed, and everything that is required passed or is waived.

    Args:
        policy: what is required.
        checks: what was judged; a required one that is missing is not judged.

    >>> decide(ReleasePolicy(["load"]), [Check("load", CheckStatus.NOT_JUDGED, "busy")]).reason
    'load is required and was not judged (busy)'
    """
    by_name = {check.name: check for check in checks}
    failed = [f"{check.name} failed ({check.reason})" for check in checks if check.status is CheckStatus.FAILED]
    asked = {name: by_name.get(name, Check(name, CheckStatus.NOT_JUDGED, "nobody looked")) for name in policy.require}
    unknown = [
        f"{name} is required and was not judged ({check.reason})"
        for name, check in asked.items()
        if check.status is CheckStatus.NOT_JUDGED
    ]
    if failed or unknown:
        return Verdict(GateAction.HOLD, "; ".join(failed + unknown), tuple(checks))
    return Verdict(GateAction.SHIP, count_statuses(checks), tuple(checks))


def count_statuses(checks: Iterable[Check]) -> str:
    """How many checks have which status, in words.

    >>> count_statuses([Check("load", CheckStatus.PASSED, ""), Check("fairness", CheckStatus.NOT_JUDGED, "")])
    '1 passed, 1 not judged'
    """
    found = [check.status for check in checks]
    counts = {status: found.count(status) for status in CheckStatus}
    return ", ".join(f"{count} {status.value.replace('_', ' ')}" for status, count in counts.items() if count)
