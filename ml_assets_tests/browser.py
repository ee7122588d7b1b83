"""What a real browser makes of a page: Chromium without a window. Where there is none, the test is skipped by name."""

import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def rendered(url: str, profile: Path) -> str:
    """The document as it stands once its scripts have run, as HTML."""
    browser = next(filter(None, map(shutil.which, _NAMES)), None)
    if browser is None:
        pytest.skip(f"no browser: none of {', '.join(_NAMES)} is installed")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={profile}", "--virtual-time-budget=20000", "--dump-dom", url,
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return ended.stdout


class Elements(HTMLParser):
    """The elements of a page in order, each with its attributes, as a parser finds them that runs no script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def count(self, tag: str) -> int:
        """How many of a kind."""
        return sum(one == tag for one, _ in self.found)

    def links(self) -> list[str]:
        """Where they lead; the buttons of a plot lead nowhere."""
        return [value for _, attrs in self.found for name, value in attrs.items() if value and name.endswith("href")]
