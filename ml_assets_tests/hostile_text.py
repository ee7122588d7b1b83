"""Text of strangers that a page, a table or a message could take for more than text."""

MARK = "a-script-of-a-stranger-ran"
"""The title of a page in which any of them ran."""

_RUN = f"document.title='{MARK}'"
WORDS = (
    f"</script><script>{_RUN}</script>",
    f"\n</script>\n<script>{_RUN}</script>",
    f"<!--<script>{_RUN}//",
    f']]><img src=x onerror="{_RUN}">',
    f'" onmouseover="{_RUN}" autofocus onfocus="{_RUN}',
    f"\u2028;{_RUN};\u2029",
    f"<svg onload={_RUN}>",
    f'<a href="javascript:{_RUN}">a</a>',
    '<a href="https://evil.example/">a</a>',
    "&lt;b&gt; &amp; &#60;script&#62;",
    "`${document.title='x'}` \\u003c {{7*7}}",
    "<head><body><title>",
)
