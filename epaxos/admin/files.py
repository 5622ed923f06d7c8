"""The page at `/`, and the files that it is made of, all of which come with the package."""

from __future__ import annotations

from pathlib import Path

from twisted.web import http
from twisted.web.server import Request

from epaxos.admin.page import GuardedPage, StatusDoor, answer

__all__ = ["FILES", "FileOfPage"]

_FOLDER = Path(__file__).with_name("web")
_TEXT = "; charset=utf-8"
FILES = {
    "": ("index.html", f"text/html{_TEXT}"),
    "page.css": ("page.css", f"text/css{_TEXT}"),
    "page.js": ("page.js", f"text/javascript{_TEXT}"),
    "uPlot.css": ("uPlot.css", f"text/css{_TEXT}"),
    "uPlot.js": ("uPlot.js", f"text/javascript{_TEXT}"),
    "uPlot-LICENSE.txt": ("uPlot-LICENSE.txt", f"text/plain{_TEXT}"),
}
"""By their addresses: the names of the files, and their types."""
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self';"
    b" img-src data:"
)
"""The page loads nothing from elsewhere.  The charts set the places of their parts as styles."""


class FileOfPage(GuardedPage):
    """One of FILES."""

    def __init__(self, address: str, door: StatusDoor) -> None:
        super().__init__(door)
        name, self._type = FILES[address]
        self._content = (_FOLDER / name).read_bytes()

    def tell(self, request: Request) -> bytes | int:
        """See GuardedPage."""
        request.setHeader(b"content-security-policy", _POLICY)
        request.setHeader(b"referrer-policy", b"no-referrer")
        return answer(request, http.OK, self._type, self._content)
