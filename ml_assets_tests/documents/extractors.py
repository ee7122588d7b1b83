"""Extractors as a project may write them, good ones and bad ones."""

import os
import time
from dataclasses import dataclass
from datetime import date

NUMBER = 1


@dataclass(frozen=True)
class Invoice:
    total: float | None
    lines: int
    days: tuple[date, ...]
    buyers: list[str]


@dataclass(frozen=True)
class Nested:
    total: Invoice


def invoice(text: str) -> Invoice:
    if text == "loop":
        time.sleep(60)
    if text == "fail":
        raise ZeroDivisionError("no lines")
    if text == "lie":
        return Invoice("much", 1, (), [])  # type: ignore[arg-type]
    return Invoice(12.5, len(text), (date(2026, 3, 2),), ["\ud800" if text == "half" else "Zoë"])


def nested(text: str) -> Nested:
    return Nested(invoice(text))


def untyped(text):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    return text


def plain(text: str) -> str:
    return text


@dataclass(frozen=True)
class Surroundings:
    secret: str | None
    pid: int


def environment(_text: str) -> Surroundings:
    return Surroundings(os.environ.get("SECRET"), os.getpid())


@dataclass(frozen=True)
class OtherWords:
    words: str


@dataclass(frozen=True)
class OwnText:
    text: str


def other_words(text: str) -> OtherWords:
    return OtherWords(text)


def own_text(text: str) -> OwnText:
    return OwnText(text)
