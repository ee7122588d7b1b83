"""A new field of a retraining policy touches two files: its declaration, and the decision that applies it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest

from ml_assets.components.templates.folder import render
from ml_assets.settings import PROJECT

# File → what is written above which line of it.
EDITS: Mapping[str, Mapping[str, str]] = {
    "spec/monitor.py": {
        "    age: Duration | None": '    fresh: int | None = Field(None, ge=1, description="New mature rows")',
    },
    "decisions/retrain.py": {
        "    age: timedelta | None = None": "    fresh: int | None = None",
        "        _drift(policy, evidence),": "        _sure('fresh', evidence.new_rows, policy.fresh or 999, 'grown'),",
    },
}
# As the verdict of a folder and a replay of a policy file read and apply it.
USE = """
import json, sys
from datetime import date
from pathlib import Path
from ml_assets.decisions.retrain import RetrainEvidence, decide
from ml_assets.errors import DeclarationError
from ml_assets.spec.load import load_folder, parse_policy

(monitor,) = load_folder(Path(sys.argv[1])).monitors
asked = [monitor.retrain, parse_policy("drift: null\\nfresh: 400", "policy.yaml")]
grown = RetrainEvidence(date(2026, 6, 7), trained=date(2026, 1, 4), rows=1000, new_rows=400)
found = [[verdict.action.value, verdict.reason] for verdict in (decide(spec.policy, grown) for spec in asked)]
try:
    parse_policy("fresh: 0", "policy.yaml")
except DeclarationError as error:
    found.append(str(error))
print(json.dumps(found))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package with the field added."""
    root = tmp_path / "ml_assets"
    shutil.copytree(PROJECT / "ml_assets", root, ignore=shutil.ignore_patterns("__pycache__", "examples", "defs"))
    for name, edits in EDITS.items():
        text = (root / name).read_text(encoding="utf-8")
        for line, added in edits.items():
            assert text.count(line) == 1
            text = text.replace(line, f"{added}\n{line}")
        (root / name).write_text(text, encoding="utf-8")
    return root


def test_a_folder_and_a_policy_file_know_it_and_the_verdict_applies_it(package: Path) -> None:
    folder = package.parent / "late"
    folder.mkdir()
    text = render("late", date(2026, 6, 7))["defs.yaml"]
    monitor = "---\ntype: ml_assets.components.Monitor\nattributes: {retrain: {drift: null, fresh: 401}}\n"
    (folder / "defs.yaml").write_text(text.partition("---\ntype: ml_assets.components.Monitor")[0] + monitor)
    command = [sys.executable, "-c", USE, str(folder)]
    done = subprocess.run(command, cwd=package.parent, capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout) == [
        ["wait", "nothing speaks for a retraining"],
        ["retrain", "grown"],
        "policy.yaml:1: fresh: Input should be greater than or equal to 1 (got 0)",
    ]
    assert len(EDITS) == 2
