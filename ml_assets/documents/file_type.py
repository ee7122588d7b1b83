"""What a file is, from its content alone: a name is somebody's opinion."""

import io
import re
import zipfile

from ml_assets.documents.document import Kind, UnreadableError
from ml_assets.documents.plain_text import controls, decode_text
from ml_assets.documents.unread_kinds import named_package, named_signature, named_xml

_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),  # BigTIFF
    (b"MM\0+", "tiff"),
)
_PDF_WITHIN = 1024  # bytes before its header that readers accept (ISO 32000-1, annex H, note 13)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_OFFICE = "EncryptedPackage".encode("utf-16-le")
_OUTLOOK = "__substg1.0_".encode("utf-16-le")
_WORD = "word/"
# The tags by which browsers tell HTML (WHATWG MIME Sniffing, section 7.1), after what may stand before them.
_HTML = re.compile(
    r"\s*+(?:<\?xml[^>]*+>\s*+)?+(?:<!--(?:(?!-->).)*+-->\s*+)*+"  # nothing is given back: it would take for ever
    r"<(?:!doctype\s+html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|meta|span)[\s>/]",
    re.IGNORECASE | re.DOTALL,
)
_HTML_WITHIN = 4096  # characters
# A message (RFC 5322): header fields up to an empty line, of which one is of its transport or of MIME. A memorandum
# that begins with From and To has none of them, and nothing in it is encoded.
_HEADER = re.compile(rb"(?:From [^\n]*+\n)?(?:[!-9;-~]{1,100}+[ \t]*+:[^\n]*+\n(?:[ \t][^\n]*+\n)*+){1,1000}?(?=\r?\n)")
_HEADER_WITHIN = 1 << 18  # bytes
_TRANSPORT = re.compile(
    rb"^(?:mime-version|content-(?:type|transfer-encoding)|message-id|received|return-path|delivered-to)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_ADDRESSED = re.compile(
    rb"^(?:to|cc|bcc|message-id|received|return-path|delivered-to)[ \t]*:", re.IGNORECASE | re.MULTILINE
)
_ARCHIVED = re.compile(rb"^content-type[ \t]*:[ \t\r\n]*multipart/related\b", re.IGNORECASE | re.MULTILINE)
_MAILBOX = re.compile(
    rb"\r?\n\r?\nFrom [^\n]*\d{4}[^\n]*\r?\n[!-9;-~]{1,100}:"
)  # where another message begins (RFC 4155)
_BINARY = 0.02  # share of control characters above which bytes are no text; compressed data has about 0.1
_SAMPLE = 65536  # characters that are looked at

_SAVE_AS = "save it as PDF, PNG, JPEG, TIFF, DOCX, HTML or plain text"


def kind_of(content: bytes, name: str) -> Kind:
    """The kind of a file.

    Args:
        content: the whole file.
        name: for messages only.

    Raises:
        UnreadableError: it is `empty`, `encrypted`, `damaged`, or of an `unknown-kind`, which the message names.
    """
    if not content.strip(b"\0\t\n\f\r "):
        raise UnreadableError("empty", f"{name} is empty ({len(content)} bytes): send the file again")
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    if b"%PDF-" in content[:_PDF_WITHIN] and not content.startswith(_ZIP):
        return "pdf"
    if content.startswith(_ZIP):
        return _zipped(content, name)
    if content.startswith(_OLE):
        raise _old(content, name)
    if content.startswith(b"From ") and _MAILBOX.search(content):
        raise _unknown(name, "an archive of several messages (mbox)")
    return _message(content) or _written(content, name)


def _zipped(content: bytes, name: str) -> Kind:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            foreign = named_package(archive)
            names = [entry.replace("\\", "/").lower() for entry in archive.namelist()]
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError) as error:
        raise UnreadableError("damaged", f"{name} is a damaged zip file ({error}): send it again") from error
    if foreign is None or any(entry.startswith(_WORD) for entry in names):
        return "docx"
    raise _unknown(name, foreign)


def _old(content: bytes, name: str) -> UnreadableError:
    """Formats of before Office 2007; an encrypted DOCX is one of them, wrapped as they were."""
    if _ENCRYPTED_OFFICE in content:
        return UnreadableError("encrypted", f"{name} is encrypted with a password: save it without one")
    if _OUTLOOK in content:
        return UnreadableError("unknown-kind", f"{name} is an Outlook message (.msg): save it as .eml, or as PDF")
    return _unknown(name, "an old Microsoft Office file (.doc, .xls, .ppt)")


def _message(content: bytes) -> Kind | None:
    """An e-mail or an archived web page, if it begins with the header of one."""
    header = _HEADER.match(content.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")[:_HEADER_WITHIN])
    if header is None or not _TRANSPORT.search(header[0]):
        return None
    return "mht" if _ARCHIVED.search(header[0]) and not _ADDRESSED.search(header[0]) else "email"


def _written(content: bytes, name: str) -> Kind:
    text = decode_text(content)[:_SAMPLE]
    binary = controls(text) > _BINARY * len(text)
    if foreign := named_signature(content, binary=binary):
        raise _unknown(name, foreign)
    if binary:
        raise _unknown(name, f"of no kind that is known (it begins with {content[:8].hex(' ')})")
    if _HTML.match(text[:_HTML_WITHIN]):
        return "html"
    if foreign := named_xml(text):
        raise _unknown(name, foreign)
    return "text"


def _unknown(name: str, what: str) -> UnreadableError:
    remedy = "unpack it, and send the files that are in it" if "archive" in what else _SAVE_AS
    return UnreadableError("unknown-kind", f"{name} is {what}, which is not read: {remedy}")
