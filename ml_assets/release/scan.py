"""Security of a release: the artifact is a plain calculation, and what its packages are is written down.

ONNX Runtime loads a model whose outside file no node uses, and a scanner that knows no ONNX says that it found nothing.
So this one asks for what is allowed, and names the rest.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

_MOST = 256 * 1024**2
_DOMAINS: Mapping[str, Collection[str] | None] = {"": None, "ai.onnx": None, "ai.onnx.ml": None,
                                                  "com.microsoft": {"Tokenizer"}}  # fmt: skip
"""Operator set → the operators of it that a release may use; None: all."""

_PATIENCE = 60.0
"""Seconds for a command of uv."""


def scan_artifact(onnx: bytes, inputs: Collection[str], output: str) -> list[str]:
    """What is wrong with an artifact, each in a sentence; nothing where it is a plain calculation.

    Args:
        onnx: its bytes.
        inputs: the features that it may take.
        output: the name of its probabilities.
    """
    if len(onnx) > _MOST:
        return [f"it has {len(onnx) / 1024**2:,.0f} MiB, at most {_MOST // 1024**2}"]
    from onnx import ModelProto, checker

    model = ModelProto()
    try:
        model.ParseFromString(onnx)
        checker.check_model(onnx)
    except Exception as error:  # noqa: BLE001 - protobuf's and the checker's own classes derive from nothing else
        return [f"it is no valid ONNX: {str(error).strip().splitlines()[0] if str(error).strip() else type(error)}"]
    return [*_foreign(model), *_shape(model, inputs, output)]


def _foreign(model: Any) -> Iterator[str]:  # noqa: ANN401 - onnx has no types
    """What a release never needs: other operator sets, functions, graphs within graphs, files outside."""
    for used in model.opset_import:
        if used.domain not in _DOMAINS:
            yield f"it uses the operators of {used.domain!r}"
    if model.functions:
        yield f"it defines functions, such as {model.functions[0].name!r}"
    if model.training_info or model.graph.sparse_initializer:
        yield "it holds training information or sparse tensors"
    for tensor in (*model.graph.initializer, *_attribute_tensors(model.graph)):
        if tensor.data_location or tensor.external_data:
            yield f"tensor {tensor.name!r} lies in another file"
    for node in model.graph.node:
        allowed = _DOMAINS.get(node.domain)
        if node.domain not in _DOMAINS or (allowed is not None and node.op_type not in allowed):
            yield f"it uses the operator {node.domain}.{node.op_type}"
        if any(each.HasField("g") or each.graphs for each in node.attribute):
            yield f"operator {node.op_type} holds a graph of its own"


def _attribute_tensors(graph: Any) -> Iterator[Any]:  # noqa: ANN401 - onnx has no types
    for node in graph.node:
        for each in node.attribute:
            yield from ([each.t] if each.HasField("t") else [])
            yield from each.tensors


def _shape(model: Any, inputs: Collection[str], output: str) -> Iterator[str]:  # noqa: ANN401 - onnx has no types
    """Whether it takes the features of its manifest, and says the probabilities."""
    from ml_assets.storage.artifact_inputs import ArtifactInputs

    try:
        features = set(ArtifactInputs.of_model(model).places)
    except ValueError:
        yield "its metadata does not name its inputs"
        return
    if features != set(inputs):
        yield f"its inputs are not the manifest's: {min(features ^ set(inputs))!r}"
    if output not in {each.name for each in model.graph.output}:
        yield f"it has no output {output!r}"


class Packages(NamedTuple):
    """The packages of the lock file.

    Args:
        sbom: a CycloneDX document; the same lock file gives the same bytes.
        number: of them.
    """

    sbom: bytes
    number: int


class PackageFindings(NamedTuple):
    """What is known of the packages' vulnerabilities.

    Args:
        vulnerable: a sentence for each package that has some; None: nobody knows.
        reason: in words.
    """

    vulnerable: tuple[str, ...] | None
    reason: str


@dataclass(frozen=True)
class PackageAuditor:
    """Asks uv for the packages of a project.

    Args:
        project: the folder of `uv.lock`.
        service: the address of a vulnerability service that may be asked; None: nobody is.
    """

    project: Path
    service: str | None = None

    def lock(self) -> str | None:
        """The SHA-256 of the lock file; None where there is none."""
        path = self.project / "uv.lock"
        return sha256_of(path.read_bytes()) if path.is_file() else None

    def packages(self) -> Packages | None:
        """The packages that run in production, as the lock file has them; None without uv, or without a lock file."""
        done = self._uv("export", "--format", "cyclonedx1.5", "--no-dev", "--offline", "--quiet")
        if done is None or done.returncode != 0:
            return None
        try:
            document = json.loads(done.stdout)
        except ValueError:
            return None
        document.pop("serialNumber", None)  # drawn anew each time
        document.get("metadata", {}).pop("timestamp", None)
        content = json.dumps(document, indent=1, sort_keys=True).encode()
        return Packages(content, len(document.get("components", ())))

    def vulnerabilities(self) -> PackageFindings:
        """What the declared service knows of them. Without one nobody is asked, and no connection is made."""
        if self.service is None:
            return PackageFindings(None, "vulnerabilities not asked for (release.audit)")
        done = self._uv("audit", "--no-dev", "--output-format", "json", "--service-url", self.service)
        if done is None:
            return PackageFindings(None, "vulnerabilities not known: there is no uv, or no uv.lock")
        return read_audit(done.returncode, done.stdout)

    def _uv(self, *words: str) -> "subprocess.CompletedProcess[str] | None":
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
        if uv is None or not (self.project / "uv.lock").is_file():
            return None
        command = [uv, *words, "--frozen", "--no-python-downloads", "--directory", str(self.project)]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE)  # noqa: S603 - a fixed command
        except (OSError, subprocess.SubprocessError):
            return None


def read_audit(code: int, output: str) -> PackageFindings:
    """What `uv audit` came to: 0 is clean, 1 vulnerable; anything else means that nobody knows.

    Args:
        code: its exit code.
        output: its JSON.

    >>> read_audit(0, '{"vulnerabilities": []}').reason, read_audit(2, "").vulnerable
    ('no known vulnerability', None)
    """
    if code not in {0, 1}:
        return PackageFindings(None, "vulnerabilities not known: the service did not answer")
    try:
        named = json.loads(output)["vulnerabilities"]
        texts = tuple(sorted({_vulnerability(each) for each in named}))
    except (ValueError, TypeError, KeyError, AttributeError):
        return PackageFindings(None, "vulnerabilities not known: uv said it in another form")
    if code == 1 and not texts:
        return PackageFindings(None, "vulnerabilities not known: uv said it in another form")
    return PackageFindings(texts, f"{len(texts)} vulnerabilities" if texts else "no known vulnerability")


def _vulnerability(found: Mapping[str, Any]) -> str:
    package = found["dependency"]
    return f"{found['id']} of {package['name']} {package['version']}"


def sha256_of(content: bytes) -> str:
    """As 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
