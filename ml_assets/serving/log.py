"""Log format of the server: what clients sent is escaped, so that it controls no terminal."""

import logging
from types import TracebackType

from ml_assets.escaping import printable

Caught = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class PlainFormatter(logging.Formatter):
    """A message in one line, and the traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        """All of it; a traceback that was redacted has its text already."""
        if record.exc_text:
            record.exc_text = printable(record.exc_text, keep="\n\t")
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The message; what would begin a line of its own is written out."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: Caught) -> str:  # noqa: N802 - logging's name
        """The traceback."""
        return printable(super().formatException(ei), keep="\n\t")


def log_plainly() -> None:
    """Make it the format of what is logged where nobody has said how: on standard error."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(PlainFormatter())
