import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.components.naming import require_name
from ml_assets.components.templates.folder import MODEL, Place, render, write
from ml_assets.components.templates.sample import WEEKS, sample, start_of
from ml_assets.errors import DeclarationError
from ml_assets.features.query import check
from ml_assets.spec.cadence import last_sunday
from ml_assets.spec.load import parse_documents
from ml_assets.spec.model import ModelSpec
from ml_assets.spec.source import SourceSpec
from ml_assets.spec.view import ViewSpec
from ml_assets_tests import preloaded
from ml_assets_tests.processes import environment
from ml_assets_tests.project_copy import copy_project

END = date(2026, 11, 15)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "defs").mkdir()
    return Place(tmp_path / "defs", tmp_path / "incoming", tmp_path / "lake")


def _documents(text: str) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = {}
    for document in yaml.safe_load_all(text):
        found.setdefault(document["type"].rpartition(".")[2], []).append(document["attributes"])
    return found


def test_a_folder_declares_what_the_components_take() -> None:
    declared = _documents(render("late_payers", start_of(END))["defs.yaml"])
    sources = [SourceSpec.model_validate(attributes) for attributes in declared["Source"]]
    views = [ViewSpec.model_validate(attributes) for attributes in declared["FeatureView"]]
    model = ModelSpec.model_validate(declared["Model"][0])
    assert {source.files.partition("/")[0] for source in sources} == {"late_payers"}
    assert set(model.features) == {view.name for view in views}
    assert END in model.cadence.dates(END)


def test_every_query_of_the_template_is_one_that_the_engine_takes() -> None:
    files = render("late_payers", start_of(END))
    queries = [path for path in files if path.endswith(".sql")]
    for path in queries:
        check(files[path], ["events", "accounts", "population"], where=path)
    assert len(queries) == 4


def test_no_placeholder_is_left() -> None:
    files = render("late_payers", start_of(END))
    assert set(files) == {str(path.relative_to(MODEL)) for path in MODEL.rglob("*") if path.is_file()}
    assert not [path for path, text in files.items() if re.search(r"@[A-Z]+@", text)]


def test_the_commented_fields_are_fields() -> None:
    """What a user uncomments is accepted."""
    text = render("late_payers", start_of(END))["defs.yaml"]
    text = re.sub(
        r"^( +)# ((?:known_at|columns|ttl|search|slices|costs):.*|- \{.*)$", r"\1\2", text, flags=re.MULTILINE
    )
    declared = _documents(text)
    model = ModelSpec.model_validate(declared["Model"][0])
    assert model.search is not None
    assert model.slices == ("segment",)
    assert SourceSpec.model_validate(declared["Source"][0]).known_at == "synced_at"


def test_the_commented_rollout_is_one() -> None:
    text = render("late_payers", start_of(END))["defs.yaml"]
    uncommented = re.sub(r"^# (---|type: .*)$", r"\1", text, flags=re.MULTILINE)
    kinds = [document.kind for document in parse_documents(uncommented, "defs.yaml")]
    assert kinds[-2:] == ["Monitor", "Rollout"]


@settings(max_examples=20)
@given(name=st.from_regex(r"[a-z][a-z0-9]{1,8}", fullmatch=True), day=st.dates(date(2001, 1, 1), date(2090, 1, 1)))
def test_the_sample_ends_before_its_end_and_is_a_function_of_name_and_end(name: str, day: date) -> None:
    end = last_sunday(day)
    made = sample(name, end)
    assert end.isoweekday() == 7
    assert end <= day < end + timedelta(days=7)
    midnight = datetime.combine(end, datetime.min.time())
    for source, column in (("events", "happened_at"), ("accounts", "opened_at")):
        assert pc.max(made[source][column]).as_py() < midnight
    assert pc.min(made["events"]["happened_at"]).as_py() >= midnight - timedelta(weeks=WEEKS)
    assert sample(name, end)["events"].equals(made["events"])


def test_another_name_gives_other_rows() -> None:
    assert not sample("a", END)["events"].equals(sample("b", END)["events"])


def test_a_written_folder_is_whole_and_nothing_hidden_is_left(place: Place) -> None:
    folder = write("late_payers", place, END)
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.*")} == set(render("late_payers", start_of(END)))
    assert [path.name for path in place.defs.iterdir()] == ["late_payers"]
    delivered = sorted(str(path.relative_to(place.incoming)) for path in place.incoming.rglob("*.parquet"))
    assert delivered == ["late_payers/accounts/sample.parquet", "late_payers/events/sample.parquet"]


def test_what_a_killed_command_left_is_replaced(place: Place) -> None:
    (place.defs / ".late_payers.new" / "old").mkdir(parents=True)
    (place.incoming / ".late_payers.new" / "old").mkdir(parents=True)
    (place.incoming / "late_payers" / "events").mkdir(parents=True)
    (place.incoming / "late_payers" / "events" / "sample.parquet").write_bytes(b"of last week")
    folder = write("late_payers", place, END)
    assert not (folder / "old").exists()
    assert (place.incoming / "late_payers" / "events" / "sample.parquet").stat().st_size > 1000
    assert not list(place.defs.glob(".*"))


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("Late", "lowercase letters"),
        ("1st", "lowercase letters"),
        ("late-payers", "lowercase letters"),
        ("late__payers", "single _"),
        ("late_", "single _"),
        ("../late", "lowercase letters"),
        ("", "lowercase letters"),
        ("x" * 41, "at most 40"),
        ("class", "word of Python"),
        ("raw", "asset of every model"),
        ("predictions", "asset of every model"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_the_rule(place: Place, name: str, rule: str) -> None:
    with pytest.raises(DeclarationError, match=re.escape(repr(name))) as refused:
        write(name, place, END)
    assert rule in str(refused.value)
    assert not list(place.defs.iterdir())


@given(name=st.text(max_size=50))
def test_an_accepted_name_is_an_identifier_without_the_separator_of_steps(name: str) -> None:
    def accepted() -> bool:
        require_name(name)
        return True

    with suppress(DeclarationError):
        assert accepted() == (name.isidentifier() and name.isascii() and "__" not in name)


@pytest.mark.parametrize(
    "taken",
    [
        "defs/late_payers/defs.yaml",
        "defs/late_payers.py",
        "incoming/late_payers/events/2026.csv",
        "lake/late_payers/raw/x",
    ],
)
def test_a_name_that_is_taken_is_refused_and_nothing_is_changed(place: Place, tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / taken).write_text("mine")
    with pytest.raises(DeclarationError, match="late_payers"):
        write("late_payers", place, END)
    assert (tmp_path / taken).read_text() == "mine"
    assert sorted(path.name for path in place.defs.iterdir()) in ([], ["late_payers"], ["late_payers.py"])


Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_project(tmp_path / "project", "churn", "retail")


def _cli(project: Path, data: Path) -> Cli:
    """Run a program of the environment on a copy."""

    def call(*arguments: str, program: str = "ml-assets") -> "subprocess.CompletedProcess[str]":
        own = environment(data, PYTHONPATH=str(project), DAGSTER_DISABLE_TELEMETRY="1")
        if program == "ml-assets":
            return preloaded.call(*arguments, env=own, cwd=project)
        command = [str(Path(sys.executable).parent / program), *arguments]
        return subprocess.run(command, cwd=project, env=own, capture_output=True, text=True, check=False)

    return call


@pytest.fixture
def cli(project: Path, tmp_path: Path) -> Cli:
    return _cli(project, tmp_path / "data")


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with a model that `new` wrote, and its data; a test copies it."""
    root = tmp_path_factory.mktemp("declared")
    made = _cli(copy_project(root / "project", "churn", "retail"), root / "data")("new", "late_payers")
    assert made.returncode == 0, made.stderr
    return root


@pytest.mark.slow
def test_a_new_model_trains_ships_and_predicts_at_once_and_status_says_so(cli: Cli) -> None:
    made = cli("new", "late_payers")
    assert made.returncode == 0, made.stderr
    done = cli("run", "late_payers", "--json")
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)["late_payers"]
    assert [gate for gate in outcome["gates"] if not gate["passed"]] == []
    assert 0.75 < outcome["metrics"]["roc_auc"] < 0.95
    assert outcome["predictions"] == 400
    assert outcome["champion"]["version"] == 1
    assert not [feature for feature, row in outcome["drift"].items() if row["drifted"]]

    found = json.loads(cli("status", "--json").stdout)
    model = found["models"]["late_payers"]
    assert model["champion"]["version"] == model["candidate"]["version"] == model["predictions"]["model_version"] == 1
    assert model["champion"]["since"] == model["last_run"]["as_of"] == outcome["as_of"]
    assert model["champion"]["metrics"]["roc_auc"] == pytest.approx(outcome["metrics"]["roc_auc"])
    assert model["candidate"]["verdict"] == "passed"
    assert model["predictions"]["entities"] == 400
    assert model["sources"]["accounts"]["rows"] == 400
    assert model["drift"]["drifted"] == {}
    assert found["runs"] == {"in_progress": [], "failed": []}
    assert "late_payers" in cli("status").stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        ("defs.yaml", "horizon: 14d", "horizn: 14d", ("'horizn'", "did you mean 'horizon'")),
        ("defs.yaml", "horizon: 14d", "horizon: fourteen", ("'fourteen'", "12h, 90d, 2w")),
        ("defs.yaml", "every: weekly", "every: weekyl", ("'weekyl'", "'weekly'")),
        ("defs.yaml", "[activity,", "[activty,", ("'activty'", "use activity")),
        ("defs.yaml", "entity: account_id", "entity: [account_id", ("not valid YAML", "check brackets")),
        ("defs.yaml", "components.Monitor", "components.Monitr", ("Monitr'", "ml_assets.components.Monitor?")),
        ("defs.yaml", "features/profile.sql", "features/profil.sql", ("features/profil.sql", "write the query")),
        ("features/profile.sql", "FROM accounts", "FORM accounts", ("FORM", "DuckDB can parse")),
        ("features/profile.sql", "FROM accounts", "FROM acounts", ("'acounts'", "did you mean 'accounts'")),
        ("population.sql", "account_id IS NOT NULL", "now() > opened_at", ("now", "$as_of")),
    ],
)
def test_a_mistake_is_one_line_with_the_file_the_line_the_value_and_the_remedy(
    declared: Path, tmp_path: Path, file: str, before: str, after: str, said: tuple[str, ...]
) -> None:
    root = Path(shutil.copytree(declared, tmp_path / "copy"))
    project = root / "project"
    path = project / "ml_assets" / "defs" / "late_payers" / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    refused = _cli(project, root / "data")("run", "late_payers")
    assert refused.returncode == 2, refused.stderr
    (line,) = refused.stderr.splitlines()
    number = text[: text.index(before)].count("\n") + 1
    where = (
        rf"{path}:{'41' if 'not valid YAML' in said else number}\b" if path.suffix == ".yaml" else f"late_payers/{file}"
    )
    assert re.search(where, line), line
    for part in said:
        assert part in line


@pytest.mark.slow
def test_dg_scaffold_writes_the_same_folder(cli: Cli, project: Path, tmp_path: Path) -> None:
    scaffold = ("scaffold", "defs", "ml_assets.components.Model", "late_payers")
    component = (project / "ml_assets" / "components" / "model.py").read_text()
    if "ModelScaffolder" not in component:
        pytest.skip("components/model.py does not carry @dg.scaffold_with(ModelScaffolder)")
    made = cli(*scaffold, program="dg")
    folder = project / "ml_assets" / "defs" / "late_payers"
    assert made.returncode == 0, made.stderr
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.*")} == set(render("late_payers", END))
    assert (tmp_path / "data" / "incoming" / "late_payers" / "events" / "sample.parquet").is_file()
    assert cli(*scaffold, program="dg").returncode != 0
