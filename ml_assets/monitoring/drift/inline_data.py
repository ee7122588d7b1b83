"""A page that a library rendered, made safe before it is saved: names and categories in its data stay text.

Evidently writes its data as they are into a script of the page, where a category `</script><script>…` ends that script
and begins another one. Here nothing in the data can end it, and the page tells the browser which scripts are its own
and that it needs nothing from anywhere.
"""

import re
from base64 import b64encode
from hashlib import sha256

from ml_assets.escaping import html

_DATA = re.compile(r"(?<=<script>\n)    var .*?(?=\n</script>)", re.DOTALL)  # JSON holds no line break of its own
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_SIGNS = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}  # of HTML; in JSON they stand in strings only
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    "base-uri 'none'; form-action 'none'"
)


def secure_page(content: str, banner: str) -> str:
    """Evidently's page with its data escaped, a Content-Security-Policy, and a line of text above everything else.

    Args:
        content: the page as Evidently renders it, in one file.
        banner: plain text.

    Raises:
        ValueError: the page is not built as it was; it must not be saved then.
    """
    escaped, count = _DATA.subn(lambda data: data[0].translate(_SIGNS), content, count=1)
    if not count:
        raise ValueError("Evidently's page holds its data elsewhere than in Evidently 0.7: it cannot be made safe")
    scripts = " ".join(f"'sha256-{_digest(script)}'" for script in _SCRIPT.findall(escaped))
    policy = f'<head><meta http-equiv="Content-Security-Policy" content="{_POLICY.format(scripts=scripts)}">'
    body = f"<body>{html('ml_assets.monitoring.drift', 'banner.html', banner=banner)}"
    return escaped.replace("<head>", policy, 1).replace("<body>", body, 1)


def inert(text: str) -> str:
    """A name or a category that Plotly draws as it is written: it knows `<a href=…>`, `<b>` and entities by themselves.

    A space of no width stands behind each sign that begins one, so that two texts stay two.
    """
    return text.replace("<", "<\u200b").replace("&", "&\u200b")


def _digest(script: str) -> str:
    return b64encode(sha256(script.encode()).digest()).decode()
