"""What the expectations of a source say of its files: which are held back, and how all of them did."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ml_assets.ingest.report import Checked

if TYPE_CHECKING:
    from ml_assets.ingest import ledger
    from ml_assets.ingest.batch import LoadedFile
    from ml_assets.spec.source import Expectation, SourceSpec

_EXAMPLES = 3


def blocked_by(spec: "SourceSpec", files: "Sequence[LoadedFile]") -> dict[str, str]:
    """The files that are held back, by content, and why; each file is told what every expectation found in it.

    Raises:
        DeclarationError: an expectation cannot be run.
    """
    if not spec.expectations or not files:
        return {}
    # great_expectations takes seconds to import: a run without new files does without it
    from ml_assets.ingest.expectation_verdict import block_reason, judge
    from ml_assets.ingest.expectations import build_suite

    built = build_suite(spec, files[-1].shape)
    for file, results in zip(files, judge([file.rows for file in files], built), strict=True):
        file.found = results
    reasons = {file.sha: block_reason(spec.expectations, file.found) for file in files}
    return {sha: reason for sha, reason in reasons.items() if reason}


def totals(spec: "SourceSpec", entries: "list[ledger.Entry]") -> Iterator[Checked]:
    """Each declared expectation over the files that were checked against it."""
    results = [json.loads(entry.results) for entry in entries]
    for expectation in spec.expectations:
        yield _total(expectation, [by_key[expectation.key] for by_key in results if expectation.key in by_key])


def _total(expectation: "Expectation", found: list[dict[str, object]]) -> Checked:
    examples = [str(example) for part in found for example in part["examples"]]  # type: ignore[attr-defined]
    return Checked(
        name=expectation.name,
        type=expectation.type,
        severity=expectation.severity,
        kwargs=expectation.kwargs,
        files=len(found),
        failed=sum(not part["success"] for part in found),
        elements=sum(int(str(part["elements"])) for part in found),
        unexpected=sum(int(str(part["unexpected"])) for part in found),
        examples=tuple(examples[:_EXAMPLES]),
    )
