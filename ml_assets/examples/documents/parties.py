"""Who is named in a contract: around role words (`X ("Landlord")`, `Tenant: X`), in `between X and Y`, and `X, LLC`.

Names are runs of capitalised words. Every expression is anchored at a role word or at `between`, and looks at a
bounded window around it, so that the time is linear in the length of the text.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

_ROLES = (
    r"sublandlord|sublessor|sublessee|subtenant|landlord|lessor|owner|tenant|lessee|resident|renter|occupant|licensor|"
    r"licensee|seller|buyer|purchaser|grantor|grantee|borrower|lender|mortgagee|employer|employee|company|contractor|"
    r"client|customer|vendor|supplier|consultant|guarantor|manager|management\ agent|agent|discloser|recipient|insured|"
    r"insurer|association|assignor|assignee|applicant|household|housing\ provider|corporation|bank|distributor"
)
_DEFINED = re.compile(
    rf"""\((?i:(?:[^()"“”']{{0,60}}["“”']{{1,2}}\ ?)?(?:the\ |our\ |original\ )?(?:{_ROLES})s?[,.]?\ ?["“”']{{0,2}})
      [^()]{{0,60}}\)
    | (?:called|referred\ to\ as|known\ as)\ (?:the\ )?["“”']\ ?(?i:(?:the\ )?(?:{_ROLES}))\b""",
    re.VERBOSE,
)
_AS = re.compile(rf", (?i:as (?:the )?(?:original )?(?:{_ROLES}))\b")
_BETWEEN = re.compile(r"(?:[Bb]etween|BETWEEN|[Aa]mong|AMONG)(?i::| the parties:)? (?:¶ )?")
_LABELLED = re.compile(
    rf"(?:^|[.:;] |following )(?:the )?(?:{_ROLES}|to|from|bill to|print name|printed name|on behalf of owner)"
    r"(?:\(s\)|s)?(?: name)?[ \t]{0,3}:[ \t]{0,40}(.{0,160}?)(?:(?<![\s.][A-Z])(?=\.\s[A-Z])|$)",
    re.IGNORECASE,
)
_SIGNED = re.compile(
    rf"^[ \t]{{0,40}}(.{{3,90}}?),[ \t]{{1,20}}(?:as )?(?:{_ROLES})[ \t]{{0,40}}$", re.IGNORECASE | re.MULTILINE
)
_FOR = re.compile(r"^[ \t]{0,40}for[ \t]{1,20}(.{3,90})$", re.MULTILINE)
_DEAR = re.compile(r"^[ \t]{0,40}Dear (.{3,60}?)[:,][ \t]{0,40}$", re.MULTILINE)
_ADDRESSEE = re.compile(r"^[ \t]{0,40}(\S.{2,60})\n(?=[ \t]{0,40}\d{1,5} [A-Z])", re.MULTILINE)

_WORD = r"(?:[A-Z]\.|[A-Z0-9](?:[\w&'’/\-]|\.(?=\w)){0,24})"
_SONS = r"and(?=\ (?:Sons|Company|Co|Associates|Partners|Loan|Trust|Brothers)\b)"
_JOIN = rf"(?:(?:of|{_SONS}|the|&|for|de|la|von|del|van)\ ){{1,2}}"
_FORM = (
    r"(?:,?\ (?:LLC|L\.L\.C\.|Inc\.?|INC\.?|L\.P\.|LP|LLP|Corp\.|CORP\.|Corporation|CORPORATION|Company|COMPANY"
    r"|Co\.|CO\.|Ltd\.?|LTD\.?|N\.A\.|PLC|Trust|TRUST)(?!\w))"
)
_NAME = re.compile(rf"{_WORD}(?:\ (?:{_JOIN})?{_WORD}){{0,7}}{_FORM}?", re.VERBOSE)
_COMPANY = re.compile(_FORM, re.VERBOSE)
_ENDING = re.compile(r"(?:LLC|L\.L\.C\.|Inc\.|INC\.|L\.P\.|LLP|Corp\.|CORP\.|Ltd\.|LTD\.|N\.A\.|PLC)(?!\w)")
_AND = re.compile(rf"\ (?:and|AND)\ (?:between\ )?({_NAME.pattern})", re.VERBOSE)
_BROKER = re.compile(rf"(?:[Bb]roker|BROKER)[^.]{{0,80}}?\ other\ than\ ({_NAME.pattern})", re.VERBOSE)
_PERSON = re.compile(r"[A-Z][\w.'’\-]*(?: [A-Z][\w.'’\-]*){1,3}")
_DESCRIPTION = re.compile(
    r",? (?:an? (?=[A-Za-z])|having |whose |doing |d/b/a|as |with |located |the owner|who |organized |its |in |at "
    r"|of \d|duly )|, ?$|$"
)
_ARTICLE = re.compile(r"\b(?:an?|the)\ $", re.IGNORECASE)
_LEADING = {
    "BETWEEN", "BY", "AND", "AMONG", "FROM", "TO", "THE", "THIS", "IS", "MADE", "AS", "OF", "DATED", "FOR", "RE", "I",
    "YOU", "DEAR", "ON", "LANDLORD", "TENANT", "LESSOR", "LESSEE", "OWNER", "WHEREAS", "WITNESSETH", "THAT", "IT",
}  # fmt: skip
_GENERIC = {
    "parties", "party", "premises", "building", "property", "lease", "agreement", "addendum", "amendment", "date",
    "section", "exhibit", "unit", "suite", "signature", "name", "address", "title", "undersigned", "state", "county",
    "rent", "term", "both", "each", "either", "such", "any", "other", "all", "no", "not", "the", "january",
    "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
    "dwelling", "apartment", "house", "home", "tenants", "landlords", "residents", "said", "this", "that", "monthly",
    "base", "security", "basic", "article", "schedule", "first", "second", "third", "deposit", "and", "of", "in",
    "by", "page", "print", "signed",
}  # fmt: skip
_ROLE_WORDS = frozenset(_ROLES.split("|")) - {"bank", "corporation", "company", "association", "agent"}
_BEFORE = 240  # characters before a role in which its name is looked for
_CONTINUES = {*",;.)”"}
_LOWER = re.compile(r"(?:^| )[a-z]{2,12}$")
_FULL = 38  # characters; a line of running text is longer, but for the last one of a paragraph
_NAMED = 90  # characters of a company's name at the most
_AFTER = 320  # characters after `between` in which both names are


def parties(text: str) -> tuple[str, ...]:
    """The names of the parties in a text, each once (whatever its capitals), as written where it is found first."""
    one = _joined(text)
    names = [*_defined(one), *_between(one), *_appointed(one), *_labelled(text), *_signed(text), *_addressed(text)]
    names += [*(match.group(1) for match in _BROKER.finditer(one)), *_companies(one)]
    unique: dict[str, str] = {}
    for name in filter(None, map(_clean, names)):
        unique.setdefault(name.casefold(), name)
    return tuple(unique.values())


def _joined(text: str) -> str:
    """One line; a mark that no name holds stands where a line ended early, or where capitals end."""
    parts: list[str] = []
    lines = [" ".join(words) for words in map(str.split, text.replace("**", "").splitlines()) if words]
    for line, following in pairwise([*lines, ""]):
        short = len(line) < _FULL and not (following[:1] in _CONTINUES or line[-1] in ",(“" or _LOWER.search(line))
        parts.append(f"{line} ¶ " if short or (line.isupper() and not following.isupper()) else f"{line} ")
    return "".join(parts)


def _defined(text: str) -> Iterator[str]:
    """`X, a Texas corporation ("Landlord")`: the name stands before the description, back to the last bracket."""
    last = 0
    for match in _DEFINED.finditer(text):
        yield _last_name(text[max(last, match.start() - _BEFORE) : match.start()].rstrip(" ,"))
        last = match.end()


def _appointed(text: str) -> Iterator[str]:
    """`X, as landlord`."""
    for match in _AS.finditer(text):
        yield _last_name(text[max(0, match.start() - _BEFORE) : match.start()])


def _last_name(window: str) -> str:
    """The name that a window ends with, or that a description follows up to its end."""
    for match in reversed(list(_NAME.finditer(window))):
        plain = len(match.group().split()) > 1 and not match.group()[0].isdigit()
        if plain and not _ARTICLE.search(window, 0, match.start()) and _DESCRIPTION.match(window, match.end()):
            return match.group()
    return ""


def _between(text: str) -> Iterator[str]:
    """`between X, a Texas corporation, and Y`."""
    for match in _BETWEEN.finditer(text):
        window = text[match.end() : match.end() + _AFTER]
        first = _NAME.match(window)
        if first:
            yield from re.split(r" AND (?=\S+ \S)", first.group())  # in capitals, a name runs on
            second = _AND.search(window, first.end())
            yield second.group(1) if second else ""


def _labelled(text: str) -> Iterator[str]:
    """`Tenant: X`; with nothing after the colon, the name stands on the next line."""
    for line, following in pairwise([*text.splitlines(), ""]):
        if ":" not in line:  # a hundred times as fast as the expression
            continue
        for match in _LABELLED.finditer(line.strip()):
            yield from map(_first_name, _listed(match[1].strip() or following.strip()))


def _listed(value: str) -> list[str]:
    """`Maria Lopez, David Lopez` are two; `Cedar Ridge, LLC` and `Maria Lopez, Austin` are one."""
    parts = value.split(", ")
    return parts if all(_PERSON.fullmatch(part) for part in parts) else [value]


def _signed(text: str) -> Iterator[str]:
    """`X, Tenant` below a signature, or `for X` above the role."""
    for expression in (_SIGNED, _FOR):
        for match in expression.finditer(text):
            yield _first_name(match.group(1))


def _addressed(text: str) -> Iterator[str]:
    """`Dear X:`, and a line with a name above one with a house number."""
    for expression in (_DEAR, _ADDRESSEE):
        for match in expression.finditer(text):
            name = _NAME.fullmatch(match.group(1).strip())
            yield name.group() if name else ""


def _companies(text: str) -> Iterator[str]:
    """`X, LLC`, wherever it stands: only a company is called so."""
    for match in _ENDING.finditer(text):
        low = max(0, match.start() - _NAMED)
        for name in _NAME.finditer(text, low, match.end()):
            if name.end() == match.end() and (name.start() > low or not low):  # else its beginning is cut off
                yield name.group().rpartition(" for ")[2]


def _first_name(text: str) -> str:
    match = _NAME.match(text.strip())
    return match.group() if match else ""


def _clean(name: str) -> str:
    """The name alone; empty for what is none."""
    words = name.strip(" ,;:").split()
    while words and words[0].upper().strip(",:") in _LEADING:
        words = words[1:]
    cleaned = " ".join(words)
    company = _COMPANY.search(cleaned)
    if len(words) < 2 or not words[0][0].isalpha() or _is_generic(words):
        return ""
    if not company and any(word.isdigit() for word in words):
        return ""
    return cleaned[: company.end()] if company else cleaned


def _is_generic(words: list[str]) -> bool:
    """Capitalised words that are no name: `Tenant Signature`, `Base Rent`, `A TEXAS CORPORATION`."""
    plain = [word.casefold().strip(".,:;'’") for word in words]
    starts = plain[0] in _ROLE_WORDS or plain[0] in {"a", "an"}
    return starts or all(word in _GENERIC or word in _ROLE_WORDS for word in plain)
