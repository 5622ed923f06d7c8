"""Write every generated page anew."""

from __future__ import annotations

from tests.generated.pages import PAGES, ROOT, text_of

for name in PAGES:
    (ROOT / name).parent.mkdir(exist_ok=True)
    (ROOT / name).write_text(text_of(name), encoding="utf-8")
