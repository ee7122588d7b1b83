"""The checks of a candidate, judged from plain evidence: one function of the name that `decisions/release.py` lists."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from ml_assets.decisions.gate import GateAction, GateVerdict
from ml_assets.decisions.release import CHECKS, Check, CheckStatus, names_at
from ml_assets.errors import list_values
from ml_assets.training.fairness_record import FairnessOutcome

RECENT = timedelta(days=30)
"""An address that took no message for so long may be nobody's any more."""


@dataclass(frozen=True)
class SecurityEvidence:
    """What was looked at for `security`.

    Args:
        faults: of the artifact, each in a sentence.
        packages: in the list of packages; None: there is no list.
        vulnerable: what is known of them; None: nobody knows.
        vulnerabilities: the same in words.
        artifact: the SHA-256 of the artifact.
    """

    faults: Sequence[str]
    packages: int | None
    vulnerable: Sequence[str] | None
    vulnerabilities: str
    artifact: str


@dataclass(frozen=True)
class ExplainabilityEvidence:
    """What was measured of the reasons of answers, as `reasons.fidelity` does.

    Args:
        additivity: by how much an answer is missed at most.
        agreement: of the first reasons, the share on which two halves of the background agree.
        effect: by how much the score falls if the first reasons are put back.
        random_effect: the same of others.
        reasons: the SHA-256 of the file that explains answers.
    """

    additivity: float
    agreement: float
    effect: float
    random_effect: float
    reasons: str


@dataclass(frozen=True)
class AlertsEvidence:
    """What was looked at for `alerts`.

    Args:
        rules: that are declared.
        silent: addresses that took no message within `RECENT`, by a name that is no secret.
        addresses: all there are.
    """

    rules: int
    silent: Sequence[str]
    addresses: int


@dataclass(frozen=True)
class DocumentationEvidence:
    """What was looked at for `documentation`.

    Args:
        holes: what is missing, each in a few words.
        card: whether the owner declares a card; without one nothing is judged.
        readme: the SHA-256 of the folder's README; None: there is none.
    """

    holes: Sequence[str]
    card: bool
    readme: str | None


@dataclass(frozen=True)
class ReleaseEvidence:
    """All that the checks of a candidate are judged from. What nobody has looked at is None.

    Args:
        gates: the verdict of the declared gates.
        evaluation: the SHA-256 of the evaluation report.
        security: of artifact and packages.
        alerts: of the outbox.
        documentation: of the folder.
        fairness: of the declared groups.
        explainability: of the reasons.
    """

    gates: GateVerdict
    evaluation: str
    security: SecurityEvidence
    alerts: AlertsEvidence
    documentation: DocumentationEvidence
    fairness: FairnessOutcome
    explainability: ExplainabilityEvidence | None = None


def _accuracy(found: ReleaseEvidence) -> Check:
    gates, passed = found.gates.numbers, found.gates.action is GateAction.SHIP
    status = CheckStatus.PASSED if passed else CheckStatus.FAILED
    more = f"; {len(gates) - 1} more gates" if len(gates) > 1 else ""
    reason = f"{gates[0].reason}{more}" if passed and gates else found.gates.reason
    first = gates[0] if gates else None
    value, limit = (None, None) if first is None else (first.value, first.limit)
    return Check("accuracy", status, reason, value, limit, found.evaluation)


def _security(found: ReleaseEvidence) -> Check:
    seen = found.security
    if seen.faults:
        return Check("security", CheckStatus.FAILED, f"artifact: {seen.faults[0]}", evidence=seen.artifact)
    if seen.vulnerable:
        reason = f"{len(seen.vulnerable)} known vulnerabilities: {list_values(seen.vulnerable, 3)}"
        return Check("security", CheckStatus.FAILED, reason, evidence=seen.artifact)
    listed = "no list of packages: uv or uv.lock is missing"
    listed = listed if seen.packages is None else f"list of {seen.packages} packages"
    known = seen.packages is not None and seen.vulnerable is not None
    reason = f"artifact clean, {listed}; {seen.vulnerabilities}"
    status = CheckStatus.PASSED if known else CheckStatus.NOT_JUDGED
    return Check("security", status, reason, evidence=seen.artifact)


def _explainability(found: ReleaseEvidence) -> Check:
    """Reasons that do not add up are wrong; those that depend on what was drawn, or hardly matter, are in doubt."""
    from ml_assets.reasons.fidelity import ADDITIVITY, AGREEMENT, EFFECT  # numpy: not at load

    seen = found.explainability
    if seen is None:
        return Check("explainability", CheckStatus.NOT_JUDGED, "no reasons were computed")
    stable = seen.agreement >= AGREEMENT
    matters = seen.effect > 0 and seen.effect >= EFFECT * max(seen.random_effect, 0.0)
    status = CheckStatus.PASSED if stable and matters else CheckStatus.NOT_JUDGED
    if seen.additivity > ADDITIVITY:
        status = CheckStatus.FAILED
    reason = (
        f"additivity {seen.additivity:.0e}, at most {ADDITIVITY:.0e}; first reasons of two backgrounds agree "
        f"{seen.agreement:.2f}, at least {AGREEMENT}; putting them back lowers the score by {seen.effect:.2f}, others "
        f"by {seen.random_effect:.2f}"
    )
    return Check("explainability", status, reason, seen.additivity, ADDITIVITY, seen.reasons)


def _fairness(found: ReleaseEvidence) -> Check:
    seen = found.fairness
    status = CheckStatus(seen.status)
    return Check("fairness", status, seen.reason, seen.value, seen.limit, seen.evidence or None)


def _alerts(found: ReleaseEvidence) -> Check:
    seen = found.alerts
    if not seen.rules:
        return Check("alerts", CheckStatus.NOT_JUDGED, "no rule is declared: nobody would be told")
    if not seen.addresses:
        return Check("alerts", CheckStatus.NOT_JUDGED, "no URL in ML_ASSETS_ALERTS: nobody would be told")
    if seen.silent:
        reason = f"{', '.join(seen.silent)} took no message within {RECENT.days} days"
        return Check("alerts", CheckStatus.NOT_JUDGED, reason)
    reason = f"{seen.rules} rules; each of {seen.addresses} URLs took a message within {RECENT.days} days"
    return Check("alerts", CheckStatus.PASSED, reason)


def _documentation(found: ReleaseEvidence) -> Check:
    seen = found.documentation
    if not seen.card:
        return Check("documentation", CheckStatus.NOT_JUDGED, "no `card` is declared", evidence=seen.readme)
    if seen.holes:
        reason = f"missing: {', '.join(seen.holes)}"
        return Check("documentation", CheckStatus.FAILED, reason, evidence=seen.readme)
    reason = "README, a description of each source and view, a card without a hole"
    return Check("documentation", CheckStatus.PASSED, reason, evidence=seen.readme)


JUDGES: Mapping[str, Callable[[ReleaseEvidence], Check]] = {
    "accuracy": _accuracy,
    "security": _security,
    "explainability": _explainability,
    "fairness": _fairness,
    "alerts": _alerts,
    "documentation": _documentation,
}
"""The functions, by the names of their checks; what has none is not judged."""


def judge_candidate(found: ReleaseEvidence) -> tuple[Check, ...]:
    """Every check of a candidate, in the order of the record."""
    return tuple(
        JUDGES[name](found) if name in JUDGES else Check(name, CheckStatus.NOT_JUDGED, CHECKS[name].unjudged)
        for name in names_at("candidate")
    )
