"""A record as a person reads it: one title, one line a check."""

from collections.abc import Iterator, Mapping
from typing import Any

from ml_assets.decisions.release import Check, CheckStatus, count_statuses
from ml_assets.escaping import fence
from ml_assets.release.chain import RecordRow
from ml_assets.storage.signed import key_id

MARKS = {"passed": "✓", "failed": "✗", "not_judged": "?", "waived": "~"}
"""What stands before a check."""


def read_checks(entry: Mapping[str, Any]) -> tuple[Check, ...]:
    """The checks of an entry."""
    return tuple(Check(**{**each, "status": CheckStatus(each["status"])}) for each in entry.get("checks", ()))


def headline(row: RecordRow, entry: Mapping[str, Any]) -> str:
    """Whether it ships, how many checks came to what, and who signed it; of a version that is known.

    Args:
        row: of the record.
        entry: that it holds.
    """
    word = "SHIP" if entry["ship"] else "HOLD"
    signed = f"entry {row.number}, signed by {key_id(row.key)}"
    return f"{word}: {count_statuses(read_checks(entry))}; {signed}"


def title(row: RecordRow, entry: Mapping[str, Any]) -> str:
    """What the record says in one line, who signed it, and where it stands in the chain.

    Args:
        row: of the record.
        entry: that it holds.
    """
    word = "SHIP" if entry["ship"] else "HOLD"
    counts = count_statuses(read_checks(entry))
    after = "" if entry["previous"] is None else f", after {entry['previous'][:8]}…"
    signed = f"signed by {key_id(row.key)}, entry {row.number} ({row.sha256[:8]}…{after})"
    return f"{entry['model']} version {entry['version']}, as of {entry['as_of']}: {word} ({counts}); {signed}"


def check_lines(entry: Mapping[str, Any]) -> Iterator[str]:
    """A line for each check."""
    for check in read_checks(entry):
        yield f"{MARKS[check.status]} {check.name:<15} {check.reason}"


def short_lines(entry: Mapping[str, Any]) -> Iterator[str]:
    """What was judged, a line each, and what was not, a line for each reason."""
    checks = read_checks(entry)
    yield from (f"{MARKS[each.status]} {each.name}: {each.reason}" for each in checks if _is_judged(each))
    unknown: dict[str, list[str]] = {}
    for each in checks:
        if not _is_judged(each):
            unknown.setdefault(each.reason, []).append(each.name)
    yield from (f"? {', '.join(names)}: {reason}" for reason, names in unknown.items())


def _is_judged(check: Check) -> bool:
    return check.status is not CheckStatus.NOT_JUDGED


def record_text(row: RecordRow, entry: Mapping[str, Any]) -> str:
    """The whole record in lines.

    Args:
        row: of the record.
        entry: that it holds.
    """
    lines = [title(row, entry), "", *check_lines(entry), "", f"reason: {entry['reason']}"]
    lines += [f"artifact {entry['artifact']}", f"manifest {entry['manifest']}", f"card {entry['card']}"]
    lines += [f"packages {entry['sbom']}"] if entry["sbom"] else []
    return "\n".join(lines)


def record_markdown(row: RecordRow, entry: Mapping[str, Any]) -> str:
    """The same as a file of Markdown.

    Args:
        row: of the record.
        entry: that it holds.
    """
    return fence(record_text(row, entry)) + "\n"
