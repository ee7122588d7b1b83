"""What the ending of a file's name says, without regard to case."""

_TEXT = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
_PACKED = (".gz", ".bz2", ".xz", ".zst")
_FORMATS = {
    **_TEXT,
    **{suffix + packed: kind for suffix, kind in _TEXT.items() for packed in _PACKED},
    ".parquet": "parquet",
}
KNOWN = (*_TEXT, ".parquet")
"""The endings of files of rows; text may be compressed."""


def known_format(path: str) -> str | None:
    """How a file of this name is read: `csv`, `jsonl` or `parquet`; None for another ending."""
    return next((kind for suffix, kind in _FORMATS.items() if path.lower().endswith(suffix)), None)


def any_case(pattern: str) -> str:
    """The glob with its ending in either case: `*.csv` finds A.CSV."""
    suffix = next((suffix for suffix in _FORMATS if pattern.lower().endswith(suffix)), "")
    either = "".join(f"[{sign.lower()}{sign.upper()}]" if sign.isalpha() else sign for sign in suffix)
    return pattern[: len(pattern) - len(suffix)] + either
