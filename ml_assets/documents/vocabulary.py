"""The words that a released model knows, from its artifact alone: what its training has kept of running text."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, NamedTuple

from ml_assets.errors import TrainingError, list_values
from ml_assets.storage.artifact_inputs import ArtifactInputs

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

_VECTORIZER = "TfIdfVectorizer"
_WORD = re.compile("[a-z]+")  # a word of `scorer.normal`
_ANY = re.compile(r"[^\W\d_]+")  # a word of any script: of others than a to z a model knows none


def vocabulary(onnx: bytes, columns: Sequence[str]) -> dict[str, frozenset[str]]:
    """The single words that a model knows, by text column; pairs of words and other tokens are left out.

    A column's words are those of the vectorizers that its input leads to. One that leads to none has no entry.

    Args:
        onnx: an artifact, as `export.to_onnx` writes it.
        columns: of running text, as `Columns.text` names them.

    Raises:
        TrainingError: the model has no such input.
    """
    from onnx import load_from_string  # 0.1 s

    model = load_from_string(onnx)
    graph = model.graph
    places = ArtifactInputs.of_model(model).places
    if unknown := [name for name in columns if name not in places]:
        raise TrainingError(f"the model has no input {unknown[0]!r}: name some of {list_values(places)}")
    columns_by_input = {places[name].tensor: name for name in columns}
    makers = {output: node for node in graph.node for output in node.output}
    vocabularies: dict[str, frozenset[str]] = {}
    for node in _vectorizers(graph):
        for name in map(columns_by_input.__getitem__, _sources(node, makers) & columns_by_input.keys()):
            vocabularies[name] = vocabularies.get(name, frozenset()) | _words(node)
    return vocabularies


def unseen(texts: Iterable[str | None], known: AbstractSet[str]) -> float | None:
    """Of all running words of some texts, the share that is not known, from 0 to 1; None where there is no word.

    Args:
        texts: as they are in the lake; None = missing. A word is a run of letters of any script, counted each time.
        known: words of `vocabulary`.
    """
    familiar, total = _counted(texts, known)
    return 1 - familiar / total if total else None


class Familiarity(NamedTuple):
    """How much of a row a model knows: of the text column of which it knows most.

    Args:
        known: running words that the training has seen.
        unseen: the share of those that it has not, from 0 to 1; None where no column says anything.
    """

    known: int = 0
    unseen: float | None = None

    def enough(self, words: int, share: float) -> bool:
        """Whether there are at least so many known words, and at most this share of others."""
        return self.unseen is None or (self.known >= words and self.unseen <= share)


def familiarity(texts: Mapping[str, str | None], known: Mapping[str, AbstractSet[str]]) -> Familiarity:
    """How much of one row a model knows.

    Args:
        texts: by column; of a text without a word nothing is known.
        known: of `vocabulary`; a column of which no single word is known says nothing.

    >>> familiarity({"text": "The lease of a tenant"}, {"text": {"lease", "the"}})
    Familiarity(known=2, unseen=0.6)
    """
    counts = [_counted([texts.get(name)], words) for name, words in known.items() if words]
    if not counts:
        return Familiarity()
    return Familiarity(
        max(familiar for familiar, _ in counts),
        min(1 - familiar / total if total else 1.0 for familiar, total in counts),
    )


def _counted(texts: Iterable[str | None], known: AbstractSet[str]) -> tuple[int, int]:
    """The known running words of some texts, and all."""
    total = familiar = 0
    for text in texts:
        words = _ANY.findall(unicodedata.normalize("NFKC", text or "").lower())
        total += len(words)
        familiar += sum(map(known.__contains__, words))
    return familiar, total


def _vectorizers(graph: "GraphProto") -> list["NodeProto"]:
    return [node for node in graph.node if node.op_type == _VECTORIZER]


def _sources(node: "NodeProto", makers: "Mapping[str, NodeProto]") -> set[str]:
    """The tensors that no node makes and that lead to `node`: inputs of the graph, and constants."""
    sources, waiting, visited = set[str](), list(node.input), set[str]()
    while waiting:
        name = waiting.pop()
        if name in visited:
            continue
        visited.add(name)
        if name in makers:
            waiting.extend(makers[name].input)
        else:
            sources.add(name)
    return sources


def _words(node: "NodeProto") -> frozenset[str]:
    """The words of a pool: it lists the tokens of the single ones first, then both tokens of each pair, and so on.

    `ngram_counts` says where each of these begins: https://onnx.ai/onnx/operators/onnx__TfIdfVectorizer.html.
    """
    attributes = {attribute.name: attribute for attribute in node.attribute}
    pool, starts = attributes["pool_strings"].strings, [*attributes["ngram_counts"].ints]
    single = [token.decode() for token in pool[starts[0] : starts[1] if len(starts) > 1 else None]]
    return frozenset(token for token in single if _WORD.fullmatch(token))
