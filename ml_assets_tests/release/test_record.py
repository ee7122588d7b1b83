"""A candidate's record: written once, whatever is killed; it decides; a byte that was changed is refused."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml_assets.decisions.release import CheckStatus, Waiver
from ml_assets.errors import TrainingError
from ml_assets.reasons.fidelity import Fidelity
from ml_assets.release.chain import RecordError, findings, ledger
from ml_assets.release.checks import AlertsEvidence
from ml_assets.release.record import card_file, record_file
from ml_assets.release.sign import KeyFolder
from ml_assets.release.text import check_lines, short_lines, title
from ml_assets.release.verify import verify_release
from ml_assets.release.waive import waive
from ml_assets.storage.manifest import Manifest, body_sha256
from ml_assets.training.explanations import EXPLANATIONS, VersionExplanations
from ml_assets.training.release import history
from ml_assets_tests.conftest import AS_OF
from ml_assets_tests.release.conftest import Evaluated, KilledError, MemoryRegistry, sha256

pytestmark = pytest.mark.slow  # one training over a real MLflow

CARD = {"intended_use": "to write to customers", "not_for": "to refuse service", "risk": "low"}


def test_the_first_candidate_ships_with_what_can_be_judged_and_the_rest_says_why_not(evaluated: Evaluated) -> None:
    done = evaluated.record()
    entry = done.row.read("shop").entry
    statuses = {check.name: check.status.value for check in done.verdict.numbers}
    assert statuses.pop("accuracy") == "passed"
    assert statuses.pop("explainability") in {"passed", "not_judged"}  # of eighty customers
    assert set(statuses.values()) == {"not_judged"}
    assert (entry["ship"], entry["stage"], entry["version"], entry["as_of"]) == (True, "candidate", 1, str(AS_OF))
    assert entry["circumstances"]["dagster_run_id"] == "run of dagster"
    accuracy, load, security = (
        next(c for c in done.verdict.numbers if c.name == n) for n in ("accuracy", "load", "security")
    )
    assert accuracy.evidence == sha256(evaluated.registry.files["evaluation/report.json"])
    assert load.reason == "no rehearsal has taken place"
    assert security.reason.startswith(
        "artifact clean, no list of packages: uv or uv.lock is missing; vulnerabilities not"
    )
    assert title(done.row, entry).startswith(f"shop version 1, as of {AS_OF}: SHIP (")
    assert len([*check_lines(entry)]) == 11
    assert "? latency, load, dashboards, rollback, benchmark: no rehearsal has taken place" in [*short_lines(entry)]


def test_what_is_found_again_is_not_written_again_whenever_it_is(evaluated: Evaluated) -> None:
    evaluated.release()
    first, files = evaluated.record().row, dict(evaluated.registry.files)
    writes = evaluated.registry.fate.writes
    evaluated.now += timedelta(days=30)
    assert evaluated.record().row == first
    assert not evaluated.release().shipped
    assert (evaluated.registry.fate.writes, evaluated.registry.files) == (writes, files)
    assert len(ledger("shop").history(evaluated.lake)) == 1


@dataclass(frozen=True)
class End:
    """All that a life leaves behind."""

    entries: list[dict[str, object]]
    files: set[str]
    champions: list[int]
    aliases: dict[str, int]


def finish(life: Evaluated) -> End:
    verify_release(life.lake, life.registry, life.version, life.keys.public_keys())
    entries = [findings(row.read("shop").entry) for row in ledger("shop").history(life.lake)]
    champions = [row["version"] for row in history(life.lake, "shop")]
    return End(entries, set(life.registry.files), champions, life.registry.aliases)


def test_a_release_that_is_killed_at_any_write_ends_the_same(life: Callable[..., Evaluated]) -> None:
    unharmed = life()
    assert unharmed.release().shipped
    writes, files = unharmed.registry.fate.writes, len(unharmed.registry.files)
    assert writes > 8
    for number in range(writes):
        killed = life(number)
        with pytest.raises(KilledError):
            killed.release()
        killed.now += timedelta(minutes=5)
        killed.release()
        end = finish(killed)
        assert len(ledger("shop").history(killed.lake)) == 1
        # Another key, so other signatures; the entry was written five minutes later where it was killed before it.
        assert (end.champions, end.aliases, len(end.files)) == ([1], {"champion": 1}, files), f"killed before {number}"
        assert end.entries == finish(unharmed).entries


def test_no_record_no_release(evaluated: Evaluated) -> None:
    with pytest.raises(
        TrainingError, match="shop version 1 has no record as it is declared today: materialize shop/rel"
    ):
        evaluated.stands()
    evaluated.release()
    evaluated.changes = {"serve": {"bands": {"low": 0, "high": 0.4}}}
    with pytest.raises(TrainingError, match="materialize shop/release_record first"):
        evaluated.stands()
    before = evaluated.version.tags["release"]
    evaluated.release()
    assert evaluated.version.tags["release"] != before
    assert len(ledger("shop").history(evaluated.lake)) == 2
    finish(evaluated)


def test_what_is_required_and_not_known_holds_until_a_person_waives_it_and_only_so_long(evaluated: Evaluated) -> None:
    evaluated.changes = {"release": {"require": ["accuracy", "alerts"]}}
    done = evaluated.release()
    why = (
        "its release record says no: alerts is required and was not judged (no rule is declared: nobody would be told)"
    )
    assert (done.champion, done.shipped, done.reason) == (None, False, f"there is no champion yet: {why}")
    assert "release" not in evaluated.version.tags
    until = evaluated.now.date() + timedelta(days=9)
    waive(
        evaluated.lake,
        "shop",
        Waiver("alerts", "ada", "the channel moves", until),
        evaluated.keys.open(),
        evaluated.now,
    )
    assert evaluated.release().shipped
    (waived,) = (each for each in evaluated.record().verdict.numbers if each.status is CheckStatus.WAIVED)
    assert waived.reason.startswith(f"waived by ada until {until}: the channel moves (not_judged: ")
    evaluated.now += timedelta(days=10)
    assert not evaluated.record().row.read("shop").entry["ship"]
    assert [row.stage for row in ledger("shop").history(evaluated.lake)] == [
        "candidate",
        "waiver",
        "candidate",
        "candidate",
    ]


def test_alerts_pass_where_each_address_took_a_message(evaluated: Evaluated) -> None:
    for evidence, status, word in (
        (AlertsEvidence(2, [], 1), CheckStatus.PASSED, "2 rules; each of 1 URLs"),
        (AlertsEvidence(2, ["URL 1 of 1 (slack://)"], 1), CheckStatus.NOT_JUDGED, "URL 1 of 1 (slack://) took no mes"),
        (AlertsEvidence(2, [], 0), CheckStatus.NOT_JUDGED, "no URL in ML_ASSETS_ALERTS"),
    ):
        evaluated.alerts = evidence
        found = next(each for each in evaluated.record().verdict.numbers if each.name == "alerts")
        assert (found.status, word in found.reason) == (status, True)


def test_reasons_that_do_not_add_up_fail_and_those_that_waver_are_not_judged(evaluated: Evaluated) -> None:
    evaluated.record()
    explained = VersionExplanations.from_json(evaluated.registry.files[EXPLANATIONS])
    for fidelity, status in (
        (Fidelity(7e-8, 0.95, 0.9, 0.01, 300), CheckStatus.PASSED),
        (Fidelity(7e-8, 0.7, 0.9, 0.01, 300), CheckStatus.NOT_JUDGED),
        (Fidelity(7e-8, 0.95, 0.1, 0.09, 300), CheckStatus.NOT_JUDGED),
        (Fidelity(1e-3, 0.95, 0.9, 0.01, 300), CheckStatus.FAILED),
    ):
        evaluated.registry.files[EXPLANATIONS] = replace(explained, fidelity=fidelity).to_json()
        done = evaluated.record()
        found = next(each for each in done.verdict.numbers if each.name == "explainability")
        assert (found.status, found.evidence) == (status, explained.sha256)
    assert not evaluated.release().shipped


def test_an_artifact_with_a_fault_is_refused_whatever_is_required(evaluated: Evaluated) -> None:
    from onnx import ModelProto

    model = ModelProto()
    model.ParseFromString(evaluated.registry.files["model.onnx"])
    model.opset_import.add(domain="org.evil", version=1)
    evaluated.registry.files["model.onnx"] = model.SerializeToString()
    evaluated.changes = {"release": {"require": []}}
    done = evaluated.release()
    assert not done.shipped
    assert "security failed (artifact: " in done.reason


def test_a_card_with_a_hole_fails_and_a_whole_one_is_what_the_hub_reads(evaluated: Evaluated) -> None:
    evaluated.changes = {"card": {**CARD, "not_for": " "}}
    assert "documentation failed (missing: card.not_for)" in evaluated.release().reason
    (evaluated.shop.path / "README.md").unlink()
    evaluated.changes = {"card": CARD}
    assert "missing: README.md" in evaluated.release().reason
    (evaluated.shop.path / "README.md").write_text("Who will not order again?")
    done = evaluated.record()
    assert "documentation" in {each.name for each in done.verdict.numbers if each.status is CheckStatus.PASSED}
    card = evaluated.registry.files["release/card.md"]
    assert evaluated.registry.files[card_file(sha256(card))] == card
    assert sha256(card) == done.row.read("shop").entry["card"]
    _, front, body = card.decode().split("---\n", 2)
    data = yaml.safe_load(front)
    # As huggingface_hub 2.4 asks (model_index_to_eval_results): each result has task, dataset and typed metrics.
    (index,) = data["model-index"]
    (result,) = index["results"]
    assert {"type"} <= result["task"].keys()
    assert {"type", "name"} <= result["dataset"].keys()
    values = {each["type"]: each["value"] for each in result["metrics"]}
    assert values["roc_auc"] == pytest.approx(json.loads(evaluated.registry.files["evaluation/report.json"])
                                              ["evaluation"]["metrics"]["roc_auc"])  # fmt: skip
    assert (data["library_name"], data["pipeline_tag"]) == ("onnx", "tabular-classification")
    for words in (*CARD.values(), "roc_auc", "no rehearsal has taken place", "ml-assets rollback shop"):
        assert words in body
    assert evaluated.registry.tags_of["sha256"] in body


@pytest.fixture(scope="module")
def released(evaluated_shop: tuple[Path, MemoryRegistry], tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    """A release that nobody has touched."""
    import shutil

    root, registry = evaluated_shop
    copied = Path(
        shutil.copytree(root, tmp_path_factory.mktemp("released") / "shop", ignore=shutil.ignore_patterns("mlflow"))
    )
    made = Evaluated(copied, replace(registry, files=dict(registry.files), tags_of=dict(registry.tags_of), aliases={}))
    made.release()
    return made


def test_a_release_that_nobody_touched_is_verified(released: Evaluated, tmp_path: Path) -> None:
    done = verify_release(released.lake, released.registry, released.version, released.keys.public_keys())
    assert str(done).startswith("shop version 1: artifact, manifest and card are those of entry 1 (")
    assert str(done).endswith(f"), the only one; signed by {done.keys[0]}")
    foreign = KeyFolder(tmp_path).open().public
    with pytest.raises(RecordError, match="none of the trusted keys"):
        verify_release(released.lake, released.registry, released.version, {foreign})


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_byte_of_entry_manifest_artifact_or_card_is_refused(
    released: Evaluated, data: st.DataObject
) -> None:
    registry, version = released.registry, released.version
    signed = ledger("shop").history(released.lake)[0].read("shop")
    manifest, reasons = f"release/{version.tags['release']}.json", f"release/{signed.entry['reasons']}.npz"
    path = data.draw(
        st.sampled_from(["model.onnx", manifest, record_file(signed.sha256), card_file(signed.entry["card"]), reasons]),
        label="file",
    )
    content = bytearray(registry.files[path])
    content[data.draw(st.integers(0, len(content) - 1), label="offset")] ^= data.draw(st.integers(1, 255), label="bits")
    changed = replace(registry, files={**registry.files, path: bytes(content)})
    with pytest.raises(RecordError):
        verify_release(released.lake, changed, version, released.keys.public_keys())


def test_a_manifest_that_was_exchanged_with_its_tag_is_refused(released: Evaluated) -> None:
    """Whoever may write the registry can make file and tag fit each other; the record they cannot sign."""
    content = Manifest.from_json(released.registry.manifest(released.version))
    for forged in (replace(content, max_rows=999), replace(content, record="0" * 64)):
        other = replace(released.registry, files=dict(released.registry.files), tags_of=dict(released.registry.tags_of))
        other.publish(released.version, forged.to_json())
        with pytest.raises(RecordError, match=r"is of another release|is gone: restore it"):
            verify_release(released.lake, other, other.version("shop", 1), released.keys.public_keys())


def test_a_manifest_without_a_record_was_released_before_there_were_any(released: Evaluated) -> None:
    from msgspec import UNSET

    content = Manifest.from_json(released.registry.manifest(released.version))
    other = replace(released.registry, files=dict(released.registry.files), tags_of=dict(released.registry.tags_of))
    old = replace(content, record=UNSET).to_json()
    other.publish(released.version, old)
    assert b'"record"' not in old
    assert body_sha256(old) == body_sha256(content.to_json())
    with pytest.raises(TrainingError, match="released without a record: `ml-assets run shop` records"):
        verify_release(released.lake, other, other.version("shop", 1), ())


def test_a_record_that_was_cut_off_is_missed(released: Evaluated) -> None:
    from ml_assets.storage.lake import Lake

    with pytest.raises(RecordError, match=r"which its manifest names, is gone"):
        verify_release(Lake(f"{released.shop.root}/nothing"), released.registry, released.version, ())
