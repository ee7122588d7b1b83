"""The person at the keyboard, for ledgers."""

import getpass


def person() -> str:
    """The name under which somebody is logged in; `somebody` where the system knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"
