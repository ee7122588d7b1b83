"""Questions about generated documents, and which documents answer them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from random import Random

from benchmarks.search_documents import TOPICS, Document
from ml_assets.search.query import Filters
from ml_assets.search.relevance import JudgedQuestion

CONTRACTS = Filters(labels=("lease", "amendment"))  # they never use the words of a paraphrase: letters do
_CALLED = {
    "lease": ("lease", "lease agreement", "rental contract"),
    "amendment": ("amendment", "amended lease", "amendments"),
    "cam_statement": ("operating expenses statement", "common area charges", "CAM reconciliation"),
    "letter": ("letter", "letter from"),
    "invoice": ("invoice", "bill"),
}


class Truth:
    """What the documents are, looked up by what a question names."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self.all = list(documents)
        self.deals = defaultdict[int, list[Document]](list)
        self.topics = defaultdict[str, list[Document]](list)
        for document in self.all:
            self.deals[document.deal].append(document)
            for topic in document.topics if document.label in CONTRACTS.labels else ():
                self.topics[topic].append(document)

    def meant(self, target: Document) -> dict[str, int]:
        """This document, and what a reader could not tell from it."""
        return {each.document_id: 3 for each in self.deals[target.deal] if _as(each) == _as(target)}

    def about(self, topic: str, deal: int | None = None) -> dict[str, int]:
        """Contracts. 3: of the deal and about it; 2: mainly about it, or of the deal; 1: also about it."""
        found = {each.document_id: 2 if each.topic == topic else 1 for each in self.topics[topic]}
        if deal is None:
            return found
        family = [each for each in self.deals[deal] if each.label in CONTRACTS.labels]
        return dict.fromkeys(found, 1) | {each.document_id: 3 if topic in each.topics else 2 for each in family}


def questions(documents: Sequence[Document], each: int, seed: int = 0) -> list[JudgedQuestion]:
    """`each` questions of each kind, about documents drawn at random."""
    truth, rng = Truth(documents), Random(seed)  # noqa: S311 - data, not secrets
    return [made(truth, rng, kind) for kind, made in _KINDS.items() for _ in range(each)]


def _as(document: Document) -> tuple[str, int]:
    return document.label, document.signed.year


def _party(truth: Truth, rng: Random, kind: str) -> JudgedQuestion:
    target = rng.choice(truth.all)
    return JudgedQuestion(_name_and_year(target, rng), truth.meant(target), kind)


def _typo(truth: Truth, rng: Random, kind: str) -> JudgedQuestion:
    target = rng.choice(truth.all)
    words = _name_and_year(target, rng).split()
    at = rng.choice([place for place, word in enumerate(words) if len(word) > 4 and word.isalpha()])
    words[at] = _slipped(words[at], rng)
    return JudgedQuestion(" ".join(words), truth.meant(target), kind)


def _amount(truth: Truth, rng: Random, kind: str) -> JudgedQuestion:
    target = rng.choice(truth.all)
    written = rng.choice((f"${target.amount:,.2f}", f"{target.amount:.2f}"))
    return JudgedQuestion(f"{_called(target, rng)} {written}", truth.meant(target), kind)


def _address(truth: Truth, rng: Random, kind: str) -> JudgedQuestion:
    target = rng.choice(truth.all)
    return JudgedQuestion(f"{target.address.split(',')[0]} {_called(target, rng)}", truth.meant(target), kind)


def _paraphrase(truth: Truth, rng: Random, kind: str) -> JudgedQuestion:
    topic = rng.choice(list(TOPICS))
    return JudgedQuestion(_reworded(rng.choice(TOPICS[topic].asked), rng), truth.about(topic), kind, CONTRACTS)


def _party_and_topic(truth: Truth, rng: Random, kind: str) -> JudgedQuestion:
    target = rng.choice([document for document in truth.all if document.label in CONTRACTS.labels])
    asked = rng.choice(TOPICS[target.topic or ""].asked)
    judgements = truth.about(target.topic or "", target.deal)
    return JudgedQuestion(f"{asked} {target.tenant.rpartition(' ')[0]}", judgements, kind, CONTRACTS)


_KINDS: dict[str, Callable[[Truth, Random, str], JudgedQuestion]] = {
    "party, class, year": _party,
    "party with a slip of the pen": _typo,
    "amount": _amount,
    "address": _address,
    "paraphrase, among contracts": _paraphrase,
    "party and paraphrase, among contracts": _party_and_topic,
}


def _name_and_year(target: Document, rng: Random) -> str:
    return f"{target.tenant.rpartition(' ')[0]} {_called(target, rng)} {target.signed.year}"


def _called(target: Document, rng: Random) -> str:
    return rng.choice(_CALLED[target.label])


def _reworded(asked: str, rng: Random) -> str:
    return rng.choice(("", "what about ", "documents on ", "clause on ", "anything regarding ")) + asked


def _slipped(word: str, rng: Random) -> str:
    """Two letters swapped, one left out, or one doubled."""
    at = rng.randrange(1, len(word) - 2)
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return rng.choice((swapped, word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]))
