"""docs/reference/wire.md: the messages between replicas, from wire.proto and the modules beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import epaxos
from epaxos.protocol.values import messages
from epaxos.transport.handshake import VERSION
from epaxos.transport.introductions import WIRE
from tests.generated.page import docstring_of, page, rows

__all__ = ["declared", "wire"]

PROTO = Path(epaxos.__file__).parent / "wire" / "wire.proto"
FIELD = re.compile(r"(?:(repeated|optional) )?(\w+) (\w+) = (\d+);(?:\s*// (.*))?")
BESIDE = {
    "Frames": "epaxos.wire.frames",
    "The handshake": "epaxos.transport.handshake",
    "Who is refused": "epaxos.transport.acquaintances",
    "Datagrams": "epaxos.transport.datagrams",
}


class Declaration:
    """A message of the file: its name, the comment above it, and rows of its fields."""

    def __init__(self, name: str, comment: str) -> None:
        self.name = name
        self.comment = comment
        self.fields: list[list[str]] = []


def declared() -> Iterator[Declaration | str]:
    """The messages of wire.proto, and between them the comments that belong to none."""
    comment: list[str] = []
    message: Declaration | None = None
    for line in map(str.strip, PROTO.read_text(encoding="utf-8").splitlines()):
        if line.startswith("//"):
            comment.append(line[2:].strip())
        elif match := re.match(r"message (\w+) \{", line):
            message = Declaration(match[1], _text(comment))
            comment = []
        elif message is not None and (field := FIELD.match(line)):
            label, kind, name, number, said = field.groups()
            message.fields.append(
                [number, f"`{name}`", f"{label or ''} {kind}".strip(), said or _text(comment)]
            )
            comment = []
        elif line == "}" and message is not None and not message.name.startswith("Message"):
            yield message
            message = None
        elif not line and comment:
            yield _text(comment)
            comment = []
    if message is not None:
        yield message


def _text(comment: list[str]) -> str:
    return "\n".join(comment)


def _section(declaration: Declaration) -> str:
    meaning = (
        docstring_of(getattr(messages, declaration.name, None) or object) if _is_ours(declaration) else ""
    )
    table = rows(["number", "field", "type", "what"], declaration.fields)
    return "\n\n".join(filter(None, [f"### {declaration.name}", meaning, declaration.comment, table]))


def _is_ours(declaration: Declaration) -> bool:
    return hasattr(messages, declaration.name)


def wire() -> str:
    """The page."""
    parts = [each if isinstance(each, str) else _section(each) for each in declared()]
    beside = [f"## {title}\n\n{docstring_of(import_module(name))}" for title, name in BESIDE.items()]
    return page(
        "Wire",
        "epaxos/wire/wire.proto, the docstrings of epaxos/protocol/values/messages.py and of "
        "epaxos/transport",
        f"This is version {VERSION} of what replicas say to each other. Replicas of different versions "
        "refuse each other. The form of the frames is agreed on for each link: the newest that both take, "
        f"at most {WIRE}; 1 with a replica that knows of no uids. Clients speak the Redis protocol, RESP2 or "
        "RESP3.",
        *beside,
        "## Messages",
        *parts,
    )
