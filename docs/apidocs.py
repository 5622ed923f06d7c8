"""How pydoctor reads this project's docstrings (`make docs`).

They are plain text with names in single backticks; what is fenced, or indented by four, is code.  A name that
pydoctor finds becomes a link; any other stays code, and is no warning.  What else reStructuredText would take
for markup is only text.
"""

from __future__ import annotations

import re
from textwrap import dedent, indent
from typing import Any

from pydoctor.epydoc.markup import restructuredtext
from pydoctor.model import System

__all__ = ["ProjectSystem", "as_restructuredtext"]

_parse = restructuredtext.parse_docstring
_CODE = re.compile(r"(``[^`]+``|`[^`]+`)")
_MARKUP = re.compile(r"[\\*|_`]")
_FENCED = re.compile(r"^```\w*\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?:^|(?<=:):\n\n|\n\n)((?:    .*(?:\n+|$))+)")
_NO_LINK = "resolve_identifier_xref"


def as_restructuredtext(text: str) -> str:
    """The docstring with every character escaped that would be markup; code in backticks stays."""
    text = _INDENTED.sub(lambda found: f"\n\n```\n{dedent(found[1]).rstrip()}\n```\n\n", text)
    pieces = _FENCED.split(text)
    pieces[::2] = [_escaped(piece) for piece in pieces[::2]]
    pieces[1::2] = [f"::\n\n{indent(piece, '    ')}\n" for piece in pieces[1::2]]
    return "".join(pieces)


def _escaped(text: str) -> str:
    pieces = _CODE.split(text)
    pieces[::2] = [_MARKUP.sub(r"\\\g<0>", piece) for piece in pieces[::2]]
    return "".join(pieces)


def _parse_escaped(docstring: str, errors: list[Any], *more: Any) -> Any:
    return _parse(as_restructuredtext(docstring), errors, *more)


restructuredtext.parse_docstring = _parse_escaped


class ProjectSystem(System):
    """A system in which a name in backticks may be anything."""

    def msg(self, section: str, *arguments: Any, **options: Any) -> None:
        """Leave out what is said of names that are not found."""
        if section != _NO_LINK:
            super().msg(section, *arguments, **options)
