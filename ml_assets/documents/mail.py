"""E-mails and archived web pages (MIME: RFC 2045 to 2049, RFC 2557) as text: what a reader of them sees.

A message is its subject, its body, and the lines of its header that a person reads; attachments are named and not read,
for each is a document of its own.
"""

import email
from collections.abc import Iterator
from email import policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message

from ml_assets.documents import html as markup
from ml_assets.documents.document import Page, UnreadableError
from ml_assets.documents.plain_text import decode_text, page, tidy

_SHOWN = ("From", "To", "Cc", "Date")
_LONGEST = 500  # characters of a line of the header: a list of recipients has no end
_DEEPEST = 20  # messages within messages
_HALF = 0.5  # of the words of the HTML: a plain alternative with fewer only says that there is an HTML
# The charsets that are written where a larger one is meant, as browsers read them (WHATWG Encoding, 4.2).
_MEANT = {"gb2312": "gb18030", "gbk": "gb18030", "ks_c_5601-1987": "cp949", "iso-8859-1": "cp1252", "us-ascii": "utf-8"}
_SEALED = ("application/pkcs7-mime", "application/x-pkcs7-mime")


def pages(content: bytes, name: str) -> tuple[tuple[Page, ...], str | None]:
    """The one page of a message, and its subject.

    Raises:
        UnreadableError: `encrypted`: it can be read by its addressee only.
    """
    message = _parsed(content)
    subject = _header(message, "Subject")
    lines = [subject, _body(message, name), *_named(message)]
    return (page("\n\n".join(line for line in lines if line)),), subject or None


def read_web_archive(content: bytes, name: str) -> tuple[tuple[Page, ...], str | None]:
    """The one page of an archived web page (.mht), and its title.

    Raises:
        UnreadableError: `damaged`: no page is in it.
    """
    message = _parsed(content)
    parts = (_written(part) for part in message.walk() if part.get_content_type() in {"text/html", "text/plain"})
    text, title = next(((text, title) for text, title in parts if text), ("", ""))  # a frame set has none of its own
    if not text:
        raise UnreadableError("damaged", f"{name} is an archived web page without text: save it as PDF or HTML")
    return (page(text),), title or _header(message, "Subject") or None


def _parsed(content: bytes) -> Message:
    return email.message_from_bytes(content.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n"), policy=policy.compat32)


def _named(message: Message) -> Iterator[str]:
    """The header lines for people, and the attachments."""
    lines = ((name, _header(message, name)) for name in _SHOWN)
    yield "\n".join(f"{name}: {value}" for name, value in lines if value)
    yield "\n".join(f"Attachment: {attached}" for attached in _attachments(message))


def _header(message: Message, name: str) -> str:
    """A field as people read it, on one line; as it was sent where its encoding is broken."""
    raw = str(message.get(name, ""))
    try:
        value = str(make_header(decode_header(raw)))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        value = raw
    return " ".join(tidy(value).split())[:_LONGEST]


def _body(message: Message, name: str, depth: int = 0) -> str:
    """The text of a message, or of a part of one."""
    kind = message.get_content_type()
    if kind in _SEALED or kind == "multipart/encrypted":
        raise _sealed(name, message)
    if _attached(message) or depth > _DEEPEST:
        return ""
    if not message.is_multipart():
        return _written(message)[0] if message.get_content_maintype() == "text" else ""
    parts = [part for part in message.get_payload() if isinstance(part, Message)]
    if kind == "multipart/alternative":
        return _fullest([_body(part, name, depth + 1) for part in parts])
    if kind == "message/rfc822":
        return "\n\n".join(filter(None, (text for part in parts for text in _forwarded(part, name, depth))))
    return "\n\n".join(filter(None, (_body(part, name, depth + 1) for part in parts)))


def _forwarded(message: Message, name: str, depth: int) -> tuple[str, str]:
    return _header(message, "Subject"), _body(message, name, depth + 1)


def _fullest(texts: list[str]) -> str:
    """Of the same text in several forms the first, which is the plainest, if it is not an excuse for the others."""
    most = max((len(text.split()) for text in texts), default=0)
    return next((text for text in texts if text and len(text.split()) >= _HALF * most), "")


def _attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" and part.get_content_type() != "message/rfc822"


def _attachments(message: Message) -> Iterator[str]:
    """Name and type of what is in a message beside its text."""
    for part in message.walk():
        title, kind = _file_name(part), part.get_content_type()
        if not part.is_multipart() and (_attached(part) or part.get_content_maintype() != "text"):
            yield f"{title} ({kind})" if title else kind


def _file_name(part: Message) -> str:
    try:
        return " ".join(str(make_header(decode_header(part.get_filename("")))).split())
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return ""


def _written(part: Message) -> tuple[str, str]:
    """The text of a part, and its title if it is HTML."""
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    text = _decoded(content, part.get_content_charset())
    if part.get_content_subtype() != "html":
        return tidy(text), ""
    (page,), title = markup.pages(text.encode("utf-8", "replace"), stated=False)
    return page.text, title or ""


def _decoded(content: bytes, charset: str | None) -> str:
    try:
        return content.decode(_MEANT.get(charset or "", charset or "utf-8"))
    except (LookupError, UnicodeDecodeError):
        return decode_text(content)  # it states what it is not


def _sealed(name: str, message: Message) -> UnreadableError:
    if message.get_param("smime-type") == "signed-data":
        return UnreadableError("unknown-kind", f"{name} is a message within its signature (S/MIME): save it as PDF")
    return UnreadableError("encrypted", f"{name} is an encrypted message: open it and save it as PDF or text")
