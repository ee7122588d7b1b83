"""A model folder as Dagster's component tree knows it, made from the documents that `spec.load` reads."""

from pathlib import Path
from typing import Any

import yaml
from dagster.components.core.context import ComponentDeclLoadContext
from dagster.components.core.decl import (
    YamlBackedComponentDecl,
    YamlDecl,
    YamlFileDecl,
    build_component_decl_from_yaml_document,
)
from dagster.components.core.defs_module import ComponentPath
from dagster_shared.yaml_utils.source_position import (
    LineCol,
    SourcePosition,
    SourcePositionTree,
    ValueAndSourcePositionTree,
)

from ml_assets.components.naming import require_name
from ml_assets.errors import DeclarationError
from ml_assets.spec.load import FILE, KINDS, YamlDocument, read_documents


def declare_folder(context: ComponentDeclLoadContext) -> YamlFileDecl:
    """The components of the folder of `context`, in the order of its `defs.yaml`.

    Raises:
        DeclarationError: the folder's name cannot name a model, or its file is wrong; the message names the place.
    """
    _require_name(context.path)
    documents = read_documents(context.path / FILE)
    decls = [_declare(context, document, number) for number, document in enumerate(documents)]
    positions = [_places(document.where, document.node).position for document in documents]
    return YamlFileDecl(
        context=context, loc=ComponentPath.from_path(context.path), decls=decls, source_positions=positions
    )


def _declare(context: ComponentDeclLoadContext, document: YamlDocument, number: int) -> YamlBackedComponentDecl[Any]:
    kind, loc = document.kind, ComponentPath.from_path(context.path, number)
    tree = ValueAndSourcePositionTree(document.value, _places(document.where, document.node))
    decl: Any = build_component_decl_from_yaml_document(context.for_component_loc(loc), tree, loc)
    if not kind:
        return decl  # type: ignore[no-any-return] # of Dagster's own, or of another package
    # Dagster passes on as it is what is an instance of the declaration already.
    spec = document.spec(KINDS[kind], "attributes")
    model = decl.component_file_model.model_copy(update={"attributes": spec})
    return YamlDecl(context=decl.context, loc=loc, source_tree=tree, component_file_model=model)


def _places(file: str, node: yaml.Node, key: yaml.Node | None = None) -> SourcePositionTree:
    """Where each part of a document stands; that of a field begins at its key."""
    first = key or node
    position = SourcePosition(file, _place(first.start_mark), _place(first.end_mark))
    children: dict[Any, SourcePositionTree] = {}
    if isinstance(node, yaml.MappingNode):
        children = {name.value: _places(file, value, name) for name, value in node.value}
    elif isinstance(node, yaml.SequenceNode):
        children = {number: _places(file, item) for number, item in enumerate(node.value)}
    return SourcePositionTree(position, children)


def _place(mark: yaml.Mark) -> LineCol:
    return LineCol(mark.line + 1, mark.column + 1)


def _require_name(path: Path) -> None:
    try:
        require_name(path.name)
    except DeclarationError as error:
        raise DeclarationError(f"{path}: {error}") from None
