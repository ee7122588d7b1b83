"""The one reader of a `defs.yaml`: its documents with the line of each key, and the declarations that they hold.

Dagster's components, notebooks, samples and replays all take what is read here: they cannot disagree on a default, a
template or a date, and each error names file and line.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from ml_assets.errors import DeclarationError, shorten
from ml_assets.spec.base import Declaration
from ml_assets.spec.experiment import ExperimentSpec
from ml_assets.spec.model import ModelSpec
from ml_assets.spec.monitor import MonitorSpec, RetrainSpec
from ml_assets.spec.rollout import RolloutSpec
from ml_assets.spec.source import SourceSpec
from ml_assets.spec.view import ViewSpec

Spec = TypeVar("Spec", bound=Declaration)

FILE = "defs.yaml"
COMPONENTS = "ml_assets.components"
KINDS: dict[str, type[Declaration]] = {
    "Source": SourceSpec, "FeatureView": ViewSpec, "Model": ModelSpec, "Monitor": MonitorSpec,
    "Rollout": RolloutSpec, "Experiment": ExperimentSpec,
}  # fmt: skip
"""The component types, and what their `attributes` are."""

_KEYS = ("type", "attributes", "post_processing", "requirements", "template_vars_module")  # as Dagster has them
_TIMESTAMP, _BOOL, _TEXT = (f"tag:yaml.org,2002:{kind}" for kind in ("timestamp", "bool", "str"))


class _Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc] # ten times as fast
    """YAML as Dagster reads it: a date stays the text that it is written as."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own table
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True)
class YamlDocument:
    """One YAML document: a component of a `defs.yaml`, or the fields of a policy.

    Args:
        where: its file, for errors.
        value: what it says: dicts, lists, text, numbers.
        node: the same with the place of each part.
    """

    where: str
    value: Any
    node: yaml.Node

    @property
    def kind(self) -> str:
        """Which of `KINDS` it declares; empty for a component of Dagster's own or of another package.

        Raises:
            DeclarationError: it is not a component, or there is no such type.
        """
        if not isinstance(self.value, dict) or not isinstance(self.value.get("type"), str):
            raise self.error("no component: write `type: ml_assets.components.…` and its `attributes`")
        for key in self.value.keys() - {*_KEYS}:
            near = get_close_matches(str(key), _KEYS, n=1) or ["attributes"]
            raise self.error(f"unknown key {key!r}: did you mean {near[0]!r}?", key)
        package, _, name = self.value["type"].rpartition(".")
        if package != COMPONENTS and not package.startswith(f"{COMPONENTS}."):
            return ""
        if name not in KINDS:
            near = get_close_matches(name, KINDS, n=1) or [*KINDS]
            meant = " or ".join(f"{COMPONENTS}.{one}" for one in near)
            raise self.error(f"type: {self.value['type']!r} is not a component type: did you mean {meant}?", "type")
        return str(name)

    def spec(self, kind: type[Spec], *within: str) -> Spec:
        """The declaration that stands at a path of keys; without one, the whole document.

        Raises:
            DeclarationError: a field is unknown, missing or wrong; all that are, in one line.
        """
        value = self.value
        for key in within:
            value = value.get(key)
        try:
            return kind.model_validate({} if value is None else value)
        except ValidationError as error:
            places = "; ".join(self._refused(within, item) for item in error.errors())
            raise DeclarationError(places) from error

    def line(self, *keys: object) -> int:
        """The line of the key at a path; of the nearest one above, where that is not there."""
        node, line = self.node, self.node.start_mark.line + 1
        for key in keys:
            if isinstance(node, yaml.MappingNode):
                pair = next(((name, value) for name, value in node.value if name.value == str(key)), None)
            else:
                items = node.value if isinstance(node, yaml.SequenceNode) else []
                pair = (items[key], items[key]) if isinstance(key, int) and key < len(items) else None
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        return line

    def error(self, said: str, *keys: object) -> DeclarationError:
        """What is wrong with the part at a path, with file and line."""
        return DeclarationError(f"{self.where}:{self.line(*keys)}: {said}")

    def _refused(self, within: Sequence[str], item: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
        keys, said = [*within, *item["loc"]], str(item["msg"]).removeprefix("Value error, ")
        given = item.get("input")
        shown = "" if isinstance(given, dict) or str(given) in said else f" (got {shorten(repr(given), 80)})"
        # What is wrong with several fields together names them in the sentence only.
        named = [word for word in re.findall(r"\w+", said) if isinstance(given, dict) and word in given]
        field = ".".join(map(str, keys))
        return str(self.error(f"{field}: {said}{shown}" if field else f"{said}{shown}", *keys, *named[:1]))


@dataclass(frozen=True)
class FolderSpecs:
    """What the `defs.yaml` of a folder declares, in its order; other components are Dagster's.

    Args:
        path: the folder; its name is the model's.
        sources: raw tables.
        views: feature views.
        models: the model; a folder of sources alone has none.
        monitors: how the model is watched.
    """

    path: Path
    sources: tuple[SourceSpec, ...]
    views: tuple[ViewSpec, ...]
    models: tuple[ModelSpec, ...]
    monitors: tuple[MonitorSpec, ...]


def load_folder(path: Path) -> FolderSpecs:
    """The declarations of a folder, each checked.

    Raises:
        DeclarationError: the file cannot be read or a field is wrong: `file:line: what, and what would be right`.
    """
    specs: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    for document in read_documents(path / FILE):
        if kind := document.kind:
            specs[kind].append(document.spec(KINDS[kind], "attributes"))
    if len(specs["Model"]) > 1:
        raise DeclarationError(f"{path / FILE} declares {len(specs['Model'])} components Model: declare exactly one")
    return FolderSpecs(
        path, tuple(specs["Source"]), tuple(specs["FeatureView"]), tuple(specs["Model"]), tuple(specs["Monitor"])
    )


def model_folders(defs: Path) -> list[Path]:
    """The folders below `defs` that hold a `defs.yaml`, by path; what stands below such a folder is its own affair."""
    folders: list[Path] = []
    for path in sorted(path for path in defs.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))):
        folders += [path] if (path / FILE).is_file() else model_folders(path)
    return folders


def read_documents(path: Path) -> list[YamlDocument]:
    """The documents of a file, in their order.

    Raises:
        DeclarationError: it is not UTF-8, not valid YAML, or empty.
    """
    try:
        documents = [*parse_documents(path.read_text(encoding="utf-8"), str(path))]
    except UnicodeDecodeError as error:
        raise DeclarationError(f"{path} is not UTF-8: save it as UTF-8") from error
    if not documents:
        raise DeclarationError(f"{path}: No components: write one, or remove the file")
    return documents


def parse_documents(text: str, where: str) -> Iterator[YamlDocument]:
    r"""The documents of a text; `where` names it in errors.

    >>> document, = parse_documents("drift: 0.3\nevery: 28d", "policy.yaml")
    >>> document.value, document.line("every")
    ({'drift': 0.3, 'every': '28d'}, 2)

    Raises:
        DeclarationError: it is not valid YAML, or a key stands twice; the message names the line.
    """
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            for mapping in _mappings(node):
                _require_single(mapping, where)
                _keep_words(mapping)
            yield YamlDocument(where, loader.construct_document(node), node)
    except yaml.YAMLError as error:
        raise DeclarationError(_unreadable(where, error)) from error
    finally:
        loader.dispose()


def _mappings(root: yaml.Node) -> Iterator[yaml.MappingNode]:
    """The mappings of a document, each once."""
    nodes, seen = [root], set[int]()
    while nodes:
        node = nodes.pop()
        if id(node) in seen:  # an alias may stand for what it is within
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield node
            nodes += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value


def _keep_words(node: yaml.MappingNode) -> None:
    """Let a key be the word that it is written as: YAML 1.1 takes `on` for true."""
    for key, _ in node.value:
        if key.tag == _BOOL:
            key.tag = _TEXT


def _require_single(node: yaml.MappingNode, where: str) -> None:
    """Refuse a key that stands twice in a mapping: PyYAML would take the last one, without a word."""
    lines: dict[str, int] = {}
    for key in [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]:
        line = key.start_mark.line + 1
        if key.value in lines:
            said = f"{key.value!r} stands on line {lines[key.value]} already: keep one of them"
            raise DeclarationError(f"{where}:{line}: {said}")
        lines[key.value] = line


def parse_policy(text: str, where: str) -> RetrainSpec:
    """A policy file: the fields of `retrain` in a `defs.yaml`; what it leaves out has its default.

    Raises:
        DeclarationError: it is not valid YAML, or a field is wrong; the message names file, line and remedy.
    """
    documents = [*parse_documents(text, where)]
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        raise DeclarationError(f"{where}: write fields of a policy, one a line, such as `drift: 0.3`")
    return documents[0].spec(RetrainSpec)


def _unreadable(where: str, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"{where}:{mark.line + 1}" if mark else where
    parts = [getattr(error, name, None) or "" for name in ("problem", "context")] if mark else str(error).split()
    return f"{place}: not valid YAML: {' '.join(parts).strip()}: check brackets, quotes and indentation"


def with_line(said: str) -> str:
    """`…/defs.yaml: …'value'…` with the line on which the value stands."""
    match = re.match(r"(?P<file>/.*?defs\.yaml): .*?(?:'(?P<value>[^']+)'|no (?P<sql>\S+\.sql))", said)
    if match is None:
        return said
    value, lines = match["value"] or match["sql"], Path(match["file"]).read_text(encoding="utf-8").splitlines()
    number = next((number for number, line in enumerate(lines, 1) if value in line.partition(" #")[0]), None)
    return said if number is None else said.replace(match["file"], f"{match['file']}:{number}", 1)
