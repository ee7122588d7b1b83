"""What a file is, from its content alone: a name is somebody's opinion."""

import io
import re
import zipfile

from ml_assets.text.document import Kind, UnreadableError
from ml_assets.text.plain import controls, decoded

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
_WORD = "word/"
# The tags by which browsers tell HTML (WHATWG MIME Sniffing, section 7.1), after what may stand before them.
_HTML = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*"
    r"<(?:!doctype\s+html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|meta|span)[\s>/]",
    re.IGNORECASE | re.DOTALL,
)
_HTML_WITHIN = 4096  # characters
_BINARY = 0.02  # share of control characters above which bytes are no text; compressed data has about 0.1
_SAMPLE = 65536  # characters that are looked at

_SAVE_AS = "save it as PDF, PNG, JPEG, TIFF, DOCX, HTML or plain text"


def kind_of(content: bytes, name: str) -> Kind:
    """The kind of a file.

    Args:
        content: the whole file.
        name: for messages only.

    Raises:
        UnreadableError: it is `empty`, `encrypted`, `damaged`, or of an `unknown-kind`.
    """
    if not content.strip(b"\0\t\n\f\r "):
        raise UnreadableError("empty", f"{name} is empty ({len(content)} bytes): send the file again")
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    if b"%PDF-" in content[:_PDF_WITHIN]:
        return "pdf"
    if content.startswith(_ZIP):
        return _zipped(content, name)
    _refuse_old(content, name)
    return _written(content, name)


def _zipped(content: bytes, name: str) -> Kind:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise UnreadableError("damaged", f"{name} is a damaged zip file ({error}): send it again") from error
    if "[Content_Types].xml" in names and any(entry.startswith(_WORD) for entry in names):
        return "docx"
    raise UnreadableError("unknown-kind", f"{name} is a zip file that holds no Word document: {_SAVE_AS}")


def _refuse_old(content: bytes, name: str) -> None:
    """Formats that are known and not read; an encrypted DOCX is one of them, wrapped as the old ones were."""
    if content.startswith(_OLE):
        if _ENCRYPTED_OFFICE in content:
            raise UnreadableError("encrypted", f"{name} is encrypted with a password: save it without one")
        raise UnreadableError("unknown-kind", f"{name} is an old Microsoft Office file: {_SAVE_AS}")
    if content.startswith(b"{\\rtf"):
        raise UnreadableError("unknown-kind", f"{name} is an RTF file: {_SAVE_AS}")


def _written(content: bytes, name: str) -> Kind:
    text = decoded(content)[:_SAMPLE]
    if controls(text) > _BINARY * len(text):
        shown = content[:8].hex(" ")
        raise UnreadableError("unknown-kind", f"{name} begins with {shown}, which is no known kind: {_SAVE_AS}")
    return "html" if _HTML.match(text[:_HTML_WITHIN]) else "text"
