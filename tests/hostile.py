"""What a page must not hold: scripts out of names, and anything that is loaded from elsewhere."""

import re
from html.parser import HTMLParser

HOSTILE = (
    """<script src="https://evil.example/a.js">alert(1)</script>'"><img src=x onerror=alert(1)>"""
)
"""A name as nobody gives it to a file, a class, or a key by chance."""
LOADING = {
    "src", "srcset", "data", "poster", "action", "formaction", "background", "xlink:href", "style",
}  # fmt: skip
_ELSEWHERE = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:|//)|url\(|@import", re.IGNORECASE)
_WITHIN = re.compile(r"^\s*(?:data:(?:image/|,|$)|blob:)", re.IGNORECASE)


class Faults(HTMLParser):
    """Takes a page apart, and lists what it must not hold.

    Args:
        page: HTML.
        scripts: of the page's own, by what their `src` may begin with; others are faults.
    """

    def __init__(self, page: str, scripts: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.found: list[str] = []
        self.text = ""
        self._scripts, self._style = scripts, False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._style = tag == "style"
        given = dict(attrs)
        if tag == "script" and not (given.get("src") or "inline").startswith(self._scripts or "!"):
            self.found.append(f"<script {given}>")
        if tag in ("iframe", "object", "embed", "base", "form"):
            self.found.append(f"<{tag}>")
        loads = LOADING | ({"href"} if tag == "link" else set())
        for name, value in attrs:
            text = value or ""
            if name.startswith("on") or re.match(r"\s*(javascript|vbscript):", text, re.IGNORECASE):
                self.found.append(f"<{tag} {name}={text!r}>")
            if name == "style":
                text = "url(" if re.search(r"url\(|@import|expression", text) else ""
            if name in loads and _ELSEWHERE.search(text) and not _WITHIN.match(text):
                self.found.append(f"<{tag} {name}={text!r}>")

    def handle_endtag(self, tag: str) -> None:
        self._style = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._style and re.search(r"url\(|@import", data):
            self.found.append(f"style {data[:80]!r}")
