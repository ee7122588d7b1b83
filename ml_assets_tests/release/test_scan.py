"""The scan of an artifact names what a release never needs; packages are listed, and nobody is asked unasked."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.release import scan
from ml_assets.release.scan import PackageAuditor, read_audit, scan_artifact
from ml_assets.settings import PROJECT
from ml_assets_tests.serving import released

FEATURES = [each.name for each in released.INPUTS]


def faults(onnx: bytes, features: list[str] = FEATURES) -> list[str]:
    return scan_artifact(onnx, features, "probabilities")


def changed(change: Callable[[Any], object]) -> bytes:
    """The small model with something else in it."""
    from onnx import ModelProto

    model = ModelProto()
    model.ParseFromString(released.onnx())
    change(model)
    return bytes(model.SerializeToString())


def test_a_plain_calculation_has_no_fault() -> None:
    assert faults(released.onnx()) == []


def _outside(model: Any) -> None:
    """A tensor that no node uses: ONNX Runtime loads that without a word."""
    tensor = model.graph.initializer.add(name="leak", data_type=1, dims=[1], data_location=1)
    tensor.external_data.add(key="location", value="passwd")


def _outside_constant(model: Any) -> None:
    from onnx import TensorProto, helper

    tensor = TensorProto(name="leak", data_type=1, dims=[1], data_location="EXTERNAL")
    tensor.external_data.add(key="location", value="passwd")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["leak"], value=tensor))


def _foreign_operator(model: Any) -> None:
    model.opset_import.add(domain="org.evil", version=1)
    model.graph.node.add(op_type="Run", domain="org.evil", output=["x"])


def _microsoft(model: Any) -> None:
    model.opset_import.add(domain="com.microsoft", version=1)
    model.graph.node.add(op_type="CDist", domain="com.microsoft", output=["x"])


def _subgraph(model: Any) -> None:
    from onnx import TensorProto, helper

    text = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    branch = helper.make_graph([helper.make_node("Identity", ["one"], ["y"])], "branch", [], [text])
    condition = helper.make_tensor("condition", TensorProto.BOOL, [1], [True])
    model.graph.initializer.append(condition)
    model.graph.node.append(helper.make_node("If", ["condition"], ["z2"], then_branch=branch, else_branch=branch))


def _function(model: Any) -> None:
    from onnx import helper

    one = [helper.make_node("Identity", ["a"], ["b"])]
    model.functions.append(helper.make_function("", "mine", ["a"], ["b"], one, [helper.make_opsetid("", 21)]))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (_outside, "tensor 'leak' lies in another file"),
        (_outside_constant, "tensor 'leak' lies in another file"),
        (_foreign_operator, "it uses the operators of 'org.evil'"),
        (_microsoft, "it uses the operator com.microsoft.CDist"),
        (_subgraph, "operator If holds a graph of its own"),
        (_function, "it defines functions, such as 'mine'"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_release_never_needs_is_named(change: Callable[[Any], object], fault: str) -> None:
    found = faults(changed(change))
    assert fault in found or found[0].startswith("it is no valid ONNX"), found


def test_other_inputs_and_outputs_than_the_manifests_are_named() -> None:
    assert faults(released.onnx(), [*FEATURES, "age"]) == ["its inputs are not the manifest's: 'age'"]
    assert scan_artifact(released.onnx(), FEATURES, "scores") == ["it has no output 'scores'"]


def test_a_file_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_MOST", 10 * 1024**2)
    assert faults(b"x" * 11 * 1024**2) == ["it has 11 MiB, at most 10"]


@given(st.binary(max_size=200))
def test_bytes_of_strangers_are_a_fault_and_no_error(content: bytes) -> None:
    assert faults(content)


def test_the_list_of_packages_is_the_same_for_the_same_lock_file() -> None:
    first, second = (PackageAuditor(PROJECT).packages() for _ in range(2))
    assert first is not None
    assert first == second
    document = json.loads(first.sbom)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    names = {each["name"] for each in document["components"]}
    assert {"dagster", "cryptography"} <= names
    assert "pytest" not in names
    assert first.number == len(document["components"])


def test_without_a_lock_file_there_is_no_list(tmp_path: Path) -> None:
    assert PackageAuditor(tmp_path).packages() is None
    assert PackageAuditor(tmp_path, "http://127.0.0.1:9").vulnerabilities().vulnerable is None


def test_nobody_is_asked_who_was_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a process was started")

    monkeypatch.setattr(subprocess, "run", refuse)
    found = PackageAuditor(PROJECT).vulnerabilities()
    assert (found.vulnerable, found.reason) == (None, "vulnerabilities not asked for (release.audit)")


AUDITED = {
    "vulnerabilities": [
        {"dependency": {"name": "jinja2", "version": "3.1.6"}, "id": "PYSEC-2099-1", "summary": "bad"},
        {"dependency": {"name": "jinja2", "version": "3.1.6"}, "id": "PYSEC-2099-1", "summary": "bad"},
    ]
}
"""What uv 0.13.9 prints, shortened."""


@pytest.mark.parametrize(
    ("code", "output", "vulnerable", "reason"),
    [
        (0, {"vulnerabilities": []}, (), "no known vulnerability"),
        (1, AUDITED, ("PYSEC-2099-1 of jinja2 3.1.6",), "1 vulnerabilities"),
        (1, {"vulnerabilities": []}, None, "uv said it in another form"),
        (0, {"found": []}, None, "uv said it in another form"),
        (2, "", None, "the service did not answer"),
    ],
)
def test_an_audit_is_clean_vulnerable_or_not_known(
    code: int, output: object, vulnerable: tuple[str, ...] | None, reason: str
) -> None:
    found = read_audit(code, json.dumps(output))
    assert found.vulnerable == vulnerable
    assert reason in found.reason
