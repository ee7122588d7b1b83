"""A `sample:` of a `defs.yaml` names the function that fills the drop zone; a wrong one is refused with its place."""

from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from ml_assets.commands.data import _command
from ml_assets.commands.samples import Sample, by_command
from ml_assets.errors import DeclarationError
from ml_assets.ingest.drop_zone import DropZone
from ml_assets.settings import PROJECT
from ml_assets.spec.cadence import Cadence
from ml_assets.spec.sample import SampleSpec

NOT_A_FUNCTION = 3
MODEL = """type: ml_assets.components.Model
attributes:
  cadence: {{start: 2026-01-04}}
  sample:
    fill: {}
"""


def few_rows(zone: DropZone, rows: int = 3, from_: Path | None = None) -> str:
    """Write a few rows.

    Args:
        zone: where they go.
        rows: how many, in one file or
            several.
        from_: where they come from.
    """
    return f"{zone.model}: {rows} {from_}"


def declared(defs: Path, fill: str, model: str = "shop") -> Path:
    path = defs / model / "defs.yaml"
    path.parent.mkdir()
    path.write_text(MODEL.format(fill))
    return path


def test_the_samples_of_this_project_are_found_by_their_commands() -> None:
    samples = by_command(PROJECT / "ml_assets" / "defs")
    assert {command: sample.path.name for command, sample in samples.items()} == {
        "simulate": "churn", "documents": "documents", "online-retail": "retail",
    }  # fmt: skip
    assert all(callable(sample.fill()) for sample in samples.values())


def test_the_parameters_of_a_sample_are_options_with_the_help_of_its_docstring(tmp_path: Path) -> None:
    declared(tmp_path, f"{__name__}:few_rows")
    command = _command(by_command(tmp_path)["few-rows"])
    assert command.help == "Write a few rows."
    shown = {option.opts[0]: (option.default, getattr(option, "help", "")) for option in command.params}
    assert shown["--rows"] == (3, "How many, in one file or several")
    assert shown["--from"] == (None, "Where they come from")


@pytest.mark.parametrize(
    ("fill", "said"),
    [
        (
            "ml_assets.examples.chrun.sample:simulate",
            "cannot be imported .*'ml_assets.examples.chrun'",
        ),
        (f"{__name__}:many_rows", "cannot be imported .*has no attribute 'many_rows'"),
        (f"{__name__}:NOT_A_FUNCTION", "is a int"),
    ],
)
def test_what_cannot_be_imported_is_refused_with_file_and_line(tmp_path: Path, fill: str, said: str) -> None:
    path = declared(tmp_path, fill)
    (sample,) = by_command(tmp_path).values()
    with pytest.raises(DeclarationError, match=f"^{path}:5: sample.fill names '{fill}', which {said}"):
        sample.fill()


def test_a_text_that_names_no_function_is_refused_when_it_is_read() -> None:
    with pytest.raises(ValidationError, match=r"'shop.sample' does not name a function: write package.module:function"):
        SampleSpec(fill="shop.sample")


def test_a_folder_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    declared(tmp_path, f"{__name__}:few_rows")
    broken = declared(tmp_path, "[", "broken")
    samples = by_command(tmp_path)
    assert (list(samples), samples.unread) == (["few-rows"], [broken])


def test_two_samples_of_one_name_are_refused(tmp_path: Path) -> None:
    for model in ("shop", "shop2"):
        declared(tmp_path, f"{__name__}:few_rows", model)
    with pytest.raises(DeclarationError, match="both declare a sample 'few-rows': leave `sample` out of one of them"):
        by_command(tmp_path)


def test_a_best_possible_score_is_known_of_simulated_files_only(tmp_path: Path) -> None:
    known = by_command(PROJECT / "ml_assets" / "defs")
    best = {name: sample.best_roc_auc() for name, sample in known.items()}
    assert best["documents"] is None
    ask = best["simulate"]
    assert ask is not None
    assert ask(tmp_path, [date(2026, 1, 4)], None) is None


def test_a_sample_goes_into_the_drop_zone_of_its_model(tmp_path: Path) -> None:
    sample = Sample(tmp_path / "shop", SampleSpec(fill="a.b:c"), Cadence(start=date(2026, 1, 4)))
    zone = sample.zone(tmp_path, "ml-assets data c")
    assert (zone.model, zone.folder.name, zone.command) == ("shop", "shop", "ml-assets data c")
