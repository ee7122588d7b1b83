"""The end of a contract: who signs, in the forms that lawyers, agents and letters use."""

from ml_assets.examples.documents.dice import Dice
from ml_assets.examples.documents.facts import Facts
from ml_assets.examples.documents.people import COUNTIES, person
from ml_assets.examples.documents.styles import Signing
from ml_assets.examples.documents.typeset import Block

_LINE = "_" * 28
_TITLES = (
    "President",
    "Manager",
    "Managing Member",
    "Vice President",
    "Authorized Signatory",
    "Chief Executive Officer",
)


def blocks(form: Signing, roles: tuple[str, ...], dice: Dice, facts: Facts) -> list[Block]:
    """The signature blocks of `roles`; none for the form `none`.

    Args:
        form: how the document is signed.
        roles: of those who sign.
        dice: of the random choices.
        facts: names and dates.
    """
    if form == "none" or not roles:
        return []
    signed = [block for role in roles for block in _FORMS[form](role, dice, facts)]
    notary = _notary(roles[0], dice, facts) if form in {"by", "witness"} and dice.chance(0.25) else []
    return [Block("gap"), *signed, *notary]


def _by(role: str, dice: Dice, facts: Facts) -> list[Block]:
    """LANDLORD: / name / By: ____ / Name: / Title:; people sign for themselves."""
    if facts.name(role)[1] == "an individual":
        return _fields(f"{_shown(role)}:", _LINE, facts.say(role))
    return _fields(
        f"{_shown(role)}:", facts.say(f"{role}:full"), f"By: {_LINE}", f"Name: {person(dice)}", _titled(dice)
    )


def _lines(role: str, dice: Dice, facts: Facts) -> list[Block]:
    """A line for the signature and one for the date, with the words below."""
    below = f"{facts.say(role)}, {_shown(role).title()}"
    dated = f"Date: {facts.say('signed')}" if dice.chance(0.5) else "Date: ______________"
    return _fields(f"{_LINE}    {dated}", below)


def _slash(role: str, dice: Dice, facts: Facts) -> list[Block]:
    """A conformed signature, `/s/ Name`."""
    return _fields(f"/s/ {person(dice)}", f"for {facts.say(role)}", _shown(role).title())


def _witness(role: str, dice: Dice, facts: Facts) -> list[Block]:
    """Signed in the presence of witnesses."""
    witnesses = ("Signed, sealed and delivered in the presence of:", f"Witness: {_LINE}")
    return _fields(
        f"{_shown(role)}: {facts.say(role)}", f"By: {_LINE} (SEAL)", f"Its: {dice.pick(_TITLES)}", *witnesses
    )


def _plain(role: str, _dice: Dice, facts: Facts) -> list[Block]:
    """A form to fill in."""
    return _fields(f"{_shown(role).title()} Signature: {_LINE}", f"Print name: {facts.say(role)}", "Date: ____________")


def _notary(role: str, dice: Dice, facts: Facts) -> list[Block]:
    state, county = facts.say("state"), dice.pick(COUNTIES)
    sworn = (
        f"Before me, a notary public in and for said County and State, personally appeared {person(dice)}, "
        f"who acknowledged that the foregoing instrument was signed on behalf of {facts.say(role).rstrip('.')}."
    )
    return [
        *_fields(f"STATE OF {state.upper()}", f"COUNTY OF {county.upper()}"),
        Block("para", sworn),
        *_fields(_LINE, "Notary Public", f"My commission expires: {facts.say('later')}"),
    ]


def _titled(dice: Dice) -> str:
    return f"Title: {dice.pick(_TITLES)}"


def _shown(role: str) -> str:
    """What a signature block calls a role."""
    return {"tenant2": "TENANT", "buyer_person": "BUYER"}.get(role, role).upper()


def _fields(*lines: str) -> list[Block]:
    return [*(Block("field", line) for line in lines), Block("gap")]


_FORMS = {"by": _by, "lines": _lines, "slash": _slash, "witness": _witness, "plain": _plain}
