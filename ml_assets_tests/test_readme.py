"""What README.md says is so: each command runs in a test, each table lists what there is, each declaration is one."""

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from ml_assets.cli import app
from ml_assets.features.query import check
from ml_assets.ingest.ingest import ingest
from ml_assets.settings import PROJECT, Settings
from ml_assets.spec.load import KINDS, parse_documents
from ml_assets.spec.source import SourceSpec
from ml_assets.storage.lake import Lake
from ml_assets_tests import readme
from ml_assets_tests.preloaded import Preloaded
from ml_assets_tests.processes import environment
from ml_assets_tests.project_copy import copy_project
from ml_assets_tests.serving.process import serving

TEXT = readme.read()


def commands(command: object, name: str = "ml-assets") -> dict[str, TyperCommand]:
    """Every command that does something, by what is typed."""
    if isinstance(command, TyperGroup):
        context = typer.Context(command)
        below = [(key, command.get_command(context, key)) for key in command.list_commands(context)]
        return dict(chain.from_iterable(commands(sub, f"{name} {key}").items() for key, sub in below))
    assert isinstance(command, TyperCommand)
    return {name: command}


def of_kind(kind: str) -> list[readme.Block]:
    return [block for block in readme.blocks(TEXT) if block.kind == kind]


REGISTERED = commands(typer.main.get_command(app))


def documented() -> list[str]:
    """What the table of commands lists; `token list` in a cell is short for `ml-assets token list`."""
    cells = re.findall(r"`([^`]+)`", " ".join(row[0] for row in readme.rows(TEXT, "Commands")))
    return [cell if cell.startswith("ml-assets ") else f"ml-assets {cell}" for cell in cells]


def test_the_table_of_commands_lists_all_of_them() -> None:
    names = {next((name for name in REGISTERED if f"{cell} ".startswith(f"{name} ")), cell) for cell in documented()}
    assert len(REGISTERED) > 8
    assert names == set(REGISTERED)


def test_each_option_that_the_readme_names_is_one() -> None:
    typed = [*documented(), *(example.command.split("&&")[0] for example in readme.examples(TEXT))]
    for name, command in REGISTERED.items():
        known = set(chain.from_iterable(parameter.opts for parameter in command.params))
        for line in (line for line in typed if f"{line} ".startswith(f"{name} ")):
            assert set(re.findall(r"(?<!\S)\[?(--[a-z-]+)", line)) <= known, line


def test_the_table_of_settings_lists_all_of_them() -> None:
    prefix = Settings.model_config["env_prefix"]
    fields = Settings.model_fields.items()
    names = {str(field.validation_alias or f"{prefix}{name}".upper()) for name, field in fields}
    assert {row[0].strip("`") for row in readme.rows(TEXT, "Settings")} == names


PAGES = [readme.README, *sorted((PROJECT / "docs").glob("*.md"))]
DECLARATIONS = {
    f"{page.name}:{block.line}": block.text
    for page in PAGES
    for block in readme.blocks(readme.read(page))
    if block.kind == "yaml" and "type: ml_assets" in block.text
}


@pytest.mark.parametrize("text", DECLARATIONS.values(), ids=DECLARATIONS)
def test_each_declaration_is_one(text: str) -> None:
    for document in parse_documents(text, "README.md"):
        document.spec(KINDS[document.kind], "attributes")


@pytest.mark.parametrize("block", of_kind("sql"), ids=lambda block: block.line)
def test_each_query_is_one(block: readme.Block) -> None:
    relations = re.findall(r"(?:FROM|JOIN) (\w+)", block.text)
    assert check(block.text, relations, where="README.md").relations


def test_each_link_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", TEXT) + re.findall(r"`((?:docs|ml_assets)/[^`]+\.\w+)`", TEXT)
    assert [link for link in links if "/fraud/" not in link and not (PROJECT / link).exists()] == []


def test_what_a_file_leaves_open_is_asked_as_the_readme_shows(tmp_path: Path) -> None:
    """1,000 amounts, one of them N/A."""
    rows = "".join(f"2026-01-01,{nr}.5\n" for nr in range(999))
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "a.csv").write_text(f"at,amount\n{rows}2026-01-01,N/A\n")
    spec = SourceSpec(name="orders", files="orders/*.csv", event_time="at")
    (note,) = ingest(Lake(str(tmp_path / "lake")), "shop/raw/orders", spec, tmp_path).refused
    (shown,) = (block.text for block in of_kind("text") if "column amount" in block.text)
    assert readme.shows(shown, note.reason)
    assert "999 of 1,000" in note.reason


# What another test runs, by how the command begins: the same minutes are not spent twice.
ELSEWHERE = {
    "make up": "commands/test_up.py::"
    "test_all_answer_this_machine_alone_a_kill_leaves_nothing_and_it_starts_again_until_ctrl_c",
    "ml-assets run churn --as-of": "test_end_to_end.py::"
    "test_a_second_run_trains_nothing_and_a_new_file_is_picked_up_exactly_once",
    "ml-assets reset churn": "commands/test_forget.py::test_a_reset_forgets_everything_but_the_folder_and_the_files",
    "ml-assets rollback churn": "training/test_release.py::test_a_rollback_goes_to_the_champion_before_and_says_why",
    "ml-assets run retail --as-of": "test_end_to_end.py::"
    "test_real_invoices_give_an_honest_champion_and_every_line_is_accounted_for",
    "ml-assets rollout churn": "commands/test_terminal.py::test_a_command_ends_with_a_clean_screen",
    "ml-assets replay retail": "commands/test_replay.py::"
    "test_a_replay_of_real_invoices_that_is_killed_is_finished_by_resume_and_touches_no_registry",
    "ml-assets data simulate --end": "test_daemon.py::test_the_loop_runs_itself",
    "ml-assets explain churn": "commands/test_explain.py::"
    "test_an_answer_is_explained_alike_by_the_server_and_from_the_lake",
    "export ML_ASSETS_ALERTS=": "test_daemon.py::test_the_loop_runs_itself",
    "ml-assets data documents --from": "test_documents.py::"
    "test_a_second_run_reads_nothing_and_a_new_document_is_classified_and_found",
    "ml-assets run documents": "test_documents.py::test_documents_are_read_classified_and_found",
    "curl -F file=": "test_documents.py::test_the_server_takes_files_and_text_and_searches",
    "curl localhost:8000/search": "test_documents.py::test_the_server_takes_files_and_text_and_searches",
}
# What cannot run in a test, and why.
NOT_RUN = {
    "ml-assets data traffic churn": "takes minutes; rollouts/test_end_to_end.py drives a server by the same functions",
    "make test": "is this suite",
    "ml-assets data online-retail": "downloads 45 MB; examples/retail/test_retail.py asks a server of its own",
}
# What is typed instead, for the sake of time.
SMALLER = {"--customers 60000 --months 36": "--customers 300 --months 20"}
# What somebody does before a command that has these words in it, or in its output: the README tells it in words.
BEFORE = {
    "'horizn'": "sed -i s/horizon:/horizn:/ ml_assets/defs/fraud/defs.yaml",
    "data undo fraud/": "sed -i s/horizn:/horizon:/ ml_assets/defs/fraud/defs.yaml",
    "users.csv": "printf 'account_id,plan\n1,pro\n' > users.csv",
}


def elsewhere(example: readme.Example) -> bool:
    return example.typed.startswith((*ELSEWHERE, *NOT_RUN))


SCRIPTS = [readme.Example(block.section, block.line, block.text, "") for block in of_kind("python")]
EXAMPLES = [*(example for example in readme.examples(TEXT) if not elsewhere(example)), *SCRIPTS]


def test_what_is_left_out_is_in_the_readme_and_where_it_runs_instead_is_a_test() -> None:
    typed = " ; ".join(example.typed for example in readme.examples(TEXT) if elsewhere(example))
    assert [command for command in (*ELSEWHERE, *NOT_RUN) if command not in typed] == []
    for place in ELSEWHERE.values():
        path, _, name = place.partition("::")
        tree = ast.parse((PROJECT / "ml_assets_tests" / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, place


class Shell:
    """A shell in a copy of the project, over a data folder of its own; what it starts in the background it ends."""

    def __init__(self, root: Path, background: ExitStack) -> None:
        self.project, self.data, self._background = root, root / "data", background
        # A plain `run` makes documents too, which takes minutes: test_documents.py.
        copy_project(self.project, "documents")
        (self.project / ".curlrc").write_text("silent", encoding="utf-8")
        self._server, self._predictions = "localhost:8000", [""]

    def known(self, command: str) -> str:
        """A command about a customer of this sample."""
        if "C0000001" not in command:
            return command
        sql = "SELECT min(customer_id) AS id FROM scored"
        rows = Lake(str(self.data / "lake")).query(sql, scored="churn/predictions")
        return command.replace("C0000001", rows["id"][0].as_py())

    def type(self, command: str) -> str:
        """What a command prints, on both streams; ids that an answer gave stand in the commands after it."""
        if re.match("ml-assets serve .*&$", command):
            self._server = self._background.enter_context(serving(self.data)).url
            return ""
        # The environment is made already: whoever runs this test stands in it.
        command = re.sub("^make ", f"make -o {sys.prefix}/.installed VENV={sys.prefix} ", command)
        command = command.replace("localhost:8000", self._server)
        command = re.sub(r"churn\.[0-9a-f-]{36}", self._predictions[0], command)
        with self._start(command) as process:
            printed, _ = process.communicate(timeout=300)
        self._predictions = re.findall(r"churn\.[0-9a-f-]{36}", printed) or self._predictions
        return printed

    def _start(self, command: str) -> "subprocess.Popen[str]":
        tools = Path(sys.executable).parent
        variables = {"PATH": f"{tools}:/usr/bin:/bin", "PYTHONPATH": str(self.project), "CURL_HOME": str(self.project)}
        how: dict[str, Any] = {
            "cwd": self.project, "env": environment(self.data, **variables), "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
        }  # fmt: skip
        if command.startswith("ml-assets ") and "&&" not in command:
            return Preloaded(*shlex.split(command)[1:], **how)
        shell = (sys.executable, "-c") if re.match("(import|def) ", command) else ("bash", "-c")
        return subprocess.Popen([*shell, command], text=True, **how)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[readme.Example, str]]:
    """What each command prints, typed one after the other."""
    with ExitStack() as background:
        shell = Shell(tmp_path_factory.mktemp("readme"), background)
        # Less than what `make run` simulates where nothing is, and sooner done; enough for each gate on any day's end.
        shell.type("ml-assets data simulate --customers 1500 --months 20 --seed 3")
        transcript = {}
        for example in EXAMPLES:
            for before in (typed for word, typed in BEFORE.items() if word in example.command + example.output):
                shell.type(before)
            typed = shell.known(example.typed)
            for large, small in SMALLER.items():
                typed = typed.replace(large, small)
            transcript[example] = shell.type(typed)
        yield transcript


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.line}-{example.typed[:40]}")
def test_a_command_prints_what_the_readme_shows(example: readme.Example, printed: dict[readme.Example, str]) -> None:
    assert "Traceback" not in printed[example]
    assert readme.shows(example.output, printed[example]), printed[example]
