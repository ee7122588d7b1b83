"""An Open Packaging file (ECMA-376, part 2) read leniently: parts, and what they refer to.

Word itself writes references to parts that are not there (bookmarks, linked pictures), so a reference that leads
nowhere is none. Transitional and strict files differ in their namespaces alone, and one name is given to both.
"""

import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ml_assets.documents.document import UnreadableError

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_STRICT = {
    "{http://purl.oclc.org/ooxml/wordprocessingml/main}": W,
    "{http://purl.oclc.org/ooxml/officeDocument/relationships}": R,
}
_RELATION = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_TITLE = "{http://purl.org/dc/elements/1.1/}title"

Element = Any  # lxml ships no types


@dataclass(frozen=True)
class PackageRelation:
    """What a part refers to: the last word of the relation's type (`header`, `footnotes`), and the part's name."""

    kind: str
    part: str


class OpenPackage:
    """The parts of a file by their names, which are compared without case (ECMA-376, part 2, 6.2.2.3).

    Args:
        archive: open while its parts are read.
        name: of the file, for messages.
    """

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self._archive, self._name = archive, name
        self._names = {_normal(entry): entry for entry in archive.namelist()}

    def __contains__(self, part: str) -> bool:
        """Whether there is such a part."""
        return part in self._names

    def data(self, part: str) -> bytes:
        """The bytes of a part."""
        return self._archive.read(self._names[part])

    def root(self, part: str) -> Element:
        """The root element of a part, its names those of transitional files.

        Raises:
            UnreadableError: `bomb`: it declares a document type, under whatever name and in whatever encoding.
        """
        from lxml import etree

        parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
        try:
            root = etree.fromstring(self.data(part), parser)
        except etree.XMLSyntaxError as error:
            if "amplification" not in str(error) and "loop" not in str(error):  # of entities, which only it declares
                raise
            raise self._typed(part) from error
        if root.getroottree().docinfo.internalDTD is not None:
            raise self._typed(part)
        if _namespace(root.tag) in _STRICT:
            _renamed(root)
        return root

    def _typed(self, part: str) -> UnreadableError:
        return UnreadableError(
            "bomb",
            f"{self._name}: {part} declares a document type, which DOCX forbids (ECMA-376, part 2): do not open it",
        )

    def relations(self, part: str = "") -> dict[str, PackageRelation]:
        """What a part refers to, by id; of the package where none is named. What is not there is left out."""
        folder, name = posixpath.split(part)
        listed = posixpath.join(folder, "_rels", f"{name}.rels")
        if listed not in self:
            return {}
        by_id = {node.get("Id", ""): _relation(node, folder) for node in self.root(listed).iter(_RELATION)}
        return {key: relation for key, relation in by_id.items() if relation and relation.part in self}

    def main(self) -> str | None:
        """The name of the document itself; None where there is none."""
        parts = (one.part for one in self.relations().values() if one.kind == "officedocument")
        return next((part for part in (*parts, "word/document.xml") if part in self), None)

    def title(self) -> str:
        """The title among the core properties; empty where there is none."""
        properties = [one.part for one in self.relations().values() if one.kind == "core-properties"]
        return next((str(self.root(part).findtext(_TITLE) or "") for part in properties), "")


def _relation(node: Element, folder: str) -> PackageRelation | None:
    if node.get("TargetMode") == "External":
        return None
    target = node.get("Target", "").partition("#")[0]
    kind = node.get("Type", "").rpartition("/")[2].lower()
    return PackageRelation(kind, _normal(posixpath.join("/", folder, target)))


def _normal(name: str) -> str:
    return posixpath.normpath(name.replace("\\", "/")).lstrip("/").lower()


def _namespace(tag: object) -> str:
    return tag.partition("}")[0] + "}" if isinstance(tag, str) else ""


def _renamed(root: Element) -> None:
    for node in root.iter():
        if (ours := _STRICT.get(_namespace(node.tag))) is not None:
            node.tag = ours + node.tag.partition("}")[2]
        for name, value in _attributes(node):
            node.set(name, value)


def _attributes(node: Element) -> Iterator[tuple[str, str]]:
    """The attributes of strict files under the names of transitional ones."""
    for name, value in list(node.attrib.items()):
        if (ours := _STRICT.get(_namespace(name))) is not None:
            yield ours + name.partition("}")[2], value
