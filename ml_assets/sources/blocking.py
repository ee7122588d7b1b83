"""Files that an expectation of severity `block` holds back."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ml_assets.sources.batch import Loaded
    from ml_assets.sources.spec import SourceSpec


def blocked_by(spec: "SourceSpec", files: "Sequence[Loaded]") -> dict[str, str]:
    """The files that are held back, by content, and why; each file is told what every expectation found in it.

    Raises:
        DeclarationError: an expectation cannot be run.
    """
    if not spec.expectations or not files:
        return {}
    # great_expectations takes seconds to import: a run without new files does without it
    from ml_assets.sources.expectations import suite
    from ml_assets.sources.judge import judge, verdict

    built = suite(spec, files[-1].shape)
    for file, found in zip(files, judge([file.rows for file in files], built), strict=True):
        file.found = found
    reasons = {file.sha: verdict(spec.expectations, file.found) for file in files}
    return {sha: reason for sha, reason in reasons.items() if reason}
