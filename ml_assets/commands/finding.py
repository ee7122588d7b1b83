"""What `ml-assets doctor` says of one thing."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `remedy` is empty where nothing is to do."""

    name: str
    status: Status
    found: str
    remedy: str = ""
