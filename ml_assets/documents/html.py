"""HTML as text: what a reader sees, blocks on lines of their own, cells separated by tabs."""

import re
from typing import Any

from ml_assets.documents.document import Page
from ml_assets.documents.plain_text import decode_text, page, tidy

_DROPPED = frozenset({"script", "style", "noscript", "template", "head", "svg", "math", "iframe", "object", "select"})
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "caption",
        "center",
        "dd",
        "details",
        "dialog",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "html",
        "legend",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "tfoot",
        "thead",
        "title",
        "tr",
        "ul",
        "br",
    ]
)
_CELLS = frozenset({"td", "th"})
_SPACE = re.compile(r"[ \t\n\r\f\xa0]+")
# Blanks are looked at once, from where they begin: a page of blanks takes no longer than another.
_AROUND_BREAK = re.compile(r"(?:(?<![ \t])[ \t]++)?+\n[ \n\t]*+")
_AROUND_TAB = re.compile(r"(?:(?<! ) ++)?+\t *+")
# The encoding that the file states about itself, where a browser looks for it (WHATWG HTML, 13.2.3.2).
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_:-]{2,40})", re.IGNORECASE)
_CHARSET_WITHIN = 1024


def pages(content: bytes, *, stated: bool = True) -> tuple[tuple[Page, ...], str | None]:
    """The one page of an HTML file, and its title.

    Args:
        content: the file.
        stated: whether the encoding that it states counts; else it is UTF-8.
    """
    from lxml import etree

    # As UTF-8, whatever it was: libxml2 would take Latin-1 where the file says nothing. Comments go while parsing,
    # because the text after one hangs on it.
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True)
    root = etree.fromstring(_text(content).encode(errors="replace") if stated else content, parser)
    if root is None:
        return (page(""),), None
    title = tidy(_SPACE.sub(" ", root.findtext(".//title") or "")).strip()
    return (page(_visible(root)),), title or None


def _text(content: bytes) -> str:
    charset = _CHARSET.search(content[:_CHARSET_WITHIN])
    if charset and not content.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        try:
            return content.decode(charset[1].decode())
        except (LookupError, UnicodeDecodeError):
            pass  # it states what it is not
    return decode_text(content)


def _visible(root: Any) -> str:  # noqa: ANN401 - lxml ships no types
    from lxml import etree

    parts: list[str] = []
    preformatted = 0  # depth of <pre>, whose white space counts
    walk = etree.iterwalk(root, events=("start", "end"))  # not recursive: depth is the file's choice
    for event, node in walk:
        dropped, start = node.tag in _DROPPED or node.get("hidden") is not None, event == "start"
        preformatted += (node.tag == "pre") * (1 if start else -1)
        if start and dropped:
            walk.skip_subtree()
        parts.append(_break(node.tag, start=start))
        text = (node.text if start and not dropped else None) if start else node.tail
        parts.append(text or "" if preformatted else _SPACE.sub(" ", text or ""))
    text = _AROUND_BREAK.sub("\n", _AROUND_TAB.sub("\t", "".join(parts)))
    return re.sub(" {2,}", " ", text).strip()


def _break(tag: str, *, start: bool) -> str:
    if tag in _CELLS:
        return "" if start else "\t"
    return "\n" if tag in _BLOCKS else ""
