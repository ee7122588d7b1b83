"""What is a fault of one file, and what is one of the machine or of the declaration."""

import errno

from ml_assets.errors import DataError, DeclarationError, LakeError

_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE}


def refusal_reason(name: str, error: BaseException) -> str:
    """Why a file is refused, whatever a library raised over it.

    Args:
        name: of the file.
        error: what reading, judging or writing it raised.

    Raises:
        LakeError: the machine cannot go on: the disk is full, or read-only, or no file can be opened any more.
        BaseException: `error` itself, where it is not of the file: a declaration, another writer, an interruption.
    """
    if isinstance(error, DataError):
        return str(error)
    if isinstance(error, DeclarationError | LakeError) or not _raised_by_library(error):
        raise error
    if isinstance(error, OSError) and error.errno in _MACHINE:
        raise LakeError(f"{name} cannot be taken, the machine has no room for it: {error}: free some, run again")
    what = " ".join(str(error).split())[:300] or "no further word"
    return (
        f"{name}: cannot be taken ({type(error).__name__}: {what}): repair it, or write it anew with another tool, "
        "and deliver it again"
    )


def _raised_by_library(error: BaseException) -> bool:
    """A panic of a library in Rust is no `Exception`."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
