"""The names of kinds of files that are not read: whoever sent one is told what it is, not what it is not."""

import re
import zipfile

_WRITTEN: tuple[tuple[bytes, str], ...] = ((b"{\\rtf", "an RTF file"), (b"%!PS", "a PostScript file"))
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"AT&TFORM", "a DjVu file"),
    (b"\xffWPC", "a WordPerfect file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3\0", "a SQLite database"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a Linux program"),
    (b"ID3", "an MP3 recording"),
    (b"OggS", "an Ogg recording"),
    (b"\x78\x9f\x3e\x22", "an Outlook attachment (winmail.dat)"),
)
# Containers whose kind stands a few bytes in.
_RIFF = {b"WEBP": "a WebP picture", b"WAVE": "a WAV recording", b"AVI ": "an AVI video"}
_PICTURES = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
# What a package of Office, Open Document or another zip says that it is.
_MAIN = re.compile(rb"(?:wordprocessingml|ms-word)\.(?:document|template)[.\w]*\.main\+xml")
_PACKAGES: tuple[tuple[bytes, str], ...] = (
    (b"spreadsheetml.", "an Excel workbook"),
    (b"ms-excel.", "an Excel workbook"),
    (b"presentationml.", "a PowerPoint presentation"),
    (b"ms-powerpoint.", "a PowerPoint presentation"),
    (b"ms-visio.", "a Visio drawing"),
    (b"ms-package.xps-", "an XPS file"),
    (b"opendocument.text", "an OpenDocument text"),
    (b"opendocument.spreadsheet", "an OpenDocument spreadsheet"),
    (b"opendocument.presentation", "an OpenDocument presentation"),
    (b"opendocument.", "an OpenDocument file"),
    (b"epub+zip", "an EPUB book"),
)
_TYPES, _MIMETYPE = "[content_types].xml", "mimetype"
_MOST = 1 << 20  # bytes that are read of what a package says that it is
_ROOT = re.compile(r"<([A-Za-z_][\w:.-]*)")  # a declaration begins with <? or <!


def named_signature(content: bytes, *, binary: bool) -> str | None:
    """What a file is by its first bytes; None where they say nothing.

    Args:
        content: the whole file.
        binary: whether it is no text: a text may begin with BM or MZ, too.
    """
    for magic, name in (*_WRITTEN, *(_SIGNATURES if binary else ())):
        if content.startswith(magic):
            return name
    if not binary:
        return None
    if content[:4] == b"RIFF":
        return _RIFF.get(content[8:12], "a RIFF file")
    if content[4:8] == b"ftyp":
        return "a HEIC or AVIF picture" if content[8:12] in _PICTURES else "an MP4 video"
    return None


def named_package(archive: zipfile.ZipFile) -> str | None:
    """What a zip file is by what it says of itself; None for a Word document, with macros, template or neither."""
    names = {name.replace("\\", "/").lower(): name for name in archive.namelist()}
    types = b"".join(_head(archive, names[name]) for name in (_TYPES, _MIMETYPE) if name in names)
    if _MAIN.search(types):
        return None
    kind = next((name for mark, name in _PACKAGES if mark in types), None)
    if kind is None and any(name.endswith(".iwa") for name in names):
        return "a document of Apple Pages, Numbers or Keynote"
    return kind or f"a zip archive of {len(names)} files, none of them the body of a Word document"


def named_xml(text: str) -> str | None:
    """What a text is that declares itself XML, by the name of its root; None where it is no XML."""
    head = text.lstrip("\ufeff")
    if not head.lstrip().startswith(("<?xml", "<svg")):
        return None
    root = _ROOT.search(head)
    return f"an XML file (<{root[1]}>)" if root else "an XML file"


def _head(archive: zipfile.ZipFile, name: str) -> bytes:
    """The first bytes of an entry; none where it is encrypted, which is told apart later."""
    if archive.getinfo(name).flag_bits & 1:
        return b""
    with archive.open(name) as entry:
        return entry.read(_MOST).lower()
