"""Small documents for the tests of search."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any

import pyarrow as pa

from ml_assets.search.embedding import LsaEmbedder, fit
from ml_assets.search.index_schema import DOCUMENTS

NEW_YEAR = datetime(2024, 1, 1)  # noqa: DTZ001 - timestamps here are UTC without a zone

TEXTS = {
    "lease": "Lease between Harbor Properties LP and Kovmer Dental LLC. The Base Rent shall escalate annually "
    "by three percent. Escalation is computed upon the Consumer Price Index. The rent is $12,500.00 a month.",
    "amendment": "First Amendment to Lease. The parties amended the Term; the tenant may terminate early upon notice. "
    "All other covenants remain. Base Rent is $13,000.00.",
    "letter": "Dear Sir, we noticed that the rent increase this year is three percent; the escalation goes up again.",
    "invoice": "Invoice 0042: monthly base rent for the premises, total due $12,500. Please remit within ten days.",
    "insurance": "Certificate of liability insurance: the carrier insures Kovmer Dental LLC; the policy was renewed.",
    "picnic": "The summer picnic of the whole team is on the lawn; bring salad, cake and a blanket for the children.",
}


def row(name: str, text: str | None = None, **more: Any) -> dict[str, Any]:
    """A document whose id is its name."""
    written = TEXTS.get(name, name) if text is None else text
    values = {
        "document_id": name, "title": None, "kind": "pdf", "label": name, "label_confidence": 0.9,
        "received_at": NEW_YEAR, "parties": ["Kovmer Dental LLC"], "dates": [date(2024, 1, 1)], "amounts": [12500.0],
        "text": written,
    } | more  # fmt: skip
    return {"fingerprint": sha256(repr(sorted(values.items())).encode()).hexdigest(), **values}


def table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), DOCUMENTS)


def corpus(number: int) -> list[dict[str, Any]]:
    """Documents of which each has a word and an amount of its own."""
    made = []
    for place in range(number):
        name = list(TEXTS)[place % len(TEXTS)]
        text = f"{TEXTS[name]} Reference {letters(place)}, total ${place + 1},000."
        day = date(2000, 1, 1) + timedelta(days=place * 30)
        made.append(
            row(
                f"{place:05}", text, label=name, kind=("pdf", "docx", "png")[place % 3], amounts=[float(place), 1e6],
                dates=[day, date(2050, 1, 1)], received_at=NEW_YEAR + timedelta(hours=place),
                parties=[f"Zoë {letters(place).title()} Ltd", "Harbor  Properties LP"],
            )
        )  # fmt: skip
    return made


def letters(number: int) -> str:
    """A word of consonants and vowels for a number below 10^6, another for each."""
    syllables = ("ba", "ko", "mi", "du", "ze", "lo", "ti", "va", "pe", "ru")
    return "x" + "".join(syllables[int(digit)] for digit in f"{number:06}")


def embedder(rows: Sequence[dict[str, Any]] | None = None, seed: int = 0) -> LsaEmbedder:
    return fit((each["text"] for each in rows or [row(name) for name in TEXTS]), size=16, seed=seed)
