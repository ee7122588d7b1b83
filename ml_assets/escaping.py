"""Text of strangers (names of files and columns, cells, errors that quote them) for whoever shows it to people.

HTML is made by `html` alone, of templates that escape whatever is put into them. A space of no width breaks what no
other sign can: Markdown of GitHub's kind looks for addresses after it has read the escapes, and a chat service has
mentions that nothing else silences.
"""

import re
import unicodedata
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_NOTHING = "\u200b"  # a space of no width
_JOINERS = "\u200c\u200d"  # of Persian, of Indian scripts, of emoji
_MARKUP = re.compile(r"[\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_])")
_BEGINNING = re.compile(r"^(#{1,6}|[-+=]|\d{1,9}[.)])")
_ADDRESS = re.compile(r"(?<=@)(?=\w)|(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)
_CALL = re.compile(r"(?<=@)(?=\S)|(?<=<)(?=[@#!:]|/?\w[^\s>]*:)|(?<=\])(?=[(\[])|(?<=`)(?=`)")


def printable(text: str, keep: str = "") -> str:
    r"""The text without what breaks a line, moves a cursor, colours a terminal or turns its direction.

    Bytes of a file's name that are no UTF-8 are written, too; `keep` is left as it is.

    >>> print(printable("caf\udce9.csv"), printable("two\nlines.csv"), printable("\x1b[31mred"))
    caf\xe9.csv two\nlines.csv \x1b[31mred
    """
    if text.isprintable():
        return text
    return "".join(sign if sign in keep or _harmless(sign) else _written(sign) for sign in text)


def markdown(text: str) -> str:
    """The text in one line of Markdown, in a table or not, that shows it as it is.

    No link, picture, HTML, emphasis, code or block comes of it.
    """
    line = printable(" ".join(text.split()))
    escaped = _MARKUP.sub(r"\\\g<0>", line)
    return _ADDRESS.sub(_NOTHING, _BEGINNING.sub(_first, escaped))


def fence(text: str) -> str:
    """Lines of text as a block of Markdown that shows them as they are: no run of backticks in them ends it.

    >>> print(fence("a ```` b"))
    `````text
    a ```` b
    `````
    """
    lines = printable(text, keep="\n")
    ticks = "`" * max(3, 1 + max(map(len, re.findall("`+", lines)), default=0))
    return f"{ticks}text\n{lines}\n{ticks}"


def message(text: str, *, links: bool = False) -> str:
    """The text in one line of a chat or an e-mail: nobody is mentioned; unless `links`, no address is one."""
    line = _CALL.sub(_NOTHING, printable(" ".join(text.split())))
    return line if links else _ADDRESS.sub(_NOTHING, line)


def html(package: str, template: str, **values: object) -> "Markup":
    """HTML or SVG of a Jinja2 template.

    Args:
        package: in which the template lies.
        template: its file.
        values: of its names. Whatever they hold is shown as text, but for what this function has made.

    Raises:
        jinja2.UndefinedError: the template asks for a name that has no value.
    """
    from markupsafe import Markup

    return Markup(_templates(package).get_template(template).render(**values))  # noqa: S704 - the template has escaped it


@cache
def _templates(package: str) -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # 0.1 s

    loader = FunctionLoader(lambda name: files(package).joinpath(name).read_text(encoding="utf-8"))
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined)


def _first(found: "re.Match[str]") -> str:
    """What would begin a heading or a list."""
    return f"{found[0][:-1]}\\{found[0][-1]}"


def _harmless(sign: str) -> bool:
    return sign.isprintable() or sign in _JOINERS or unicodedata.category(sign) in {"Zs", "Cn", "Co"}


def _written(sign: str) -> str:
    if "\udc80" <= sign <= "\udcff":  # a byte that os.fsdecode could not read
        return f"\\x{ord(sign) - 0xDC00:02x}"
    return sign.encode("unicode_escape").decode()
