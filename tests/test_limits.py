"""docs: concepts/limits says every bound, with the value that it has in the code.

A new bound needs one row there.  What counts as a bound: a number among the settings; a constant of a module
or a field of a class whose name ends with MAX or LIMIT.  Other constants may be on the page, too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epaxos.config.kinds import Number
from epaxos.config.settings import SECTIONS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "concepts" / "limits.md"
NOT_OF_THE_PRODUCT = ("verify/", "tools/demo.py", "wire/wire_pb2.py")
NO_BOUNDS = {
    "resp.limits.RespLimits.descriptor_max": "what RLIMIT_NOFILE leaves: docs: operating/troubleshooting",
    "transport.link._DOUBLINGS_MAX": "of an exponent, which the longest wait cuts off long before",
}
ROW = re.compile(r"\| `([^`]+)` \| ([^|]+) \| (.+) \|")
BOUND = re.compile(r"_?([A-Z0-9_]+_)?(MAX|LIMIT)|[a-z0-9_]+_max")


def rows(page: str) -> dict[str, tuple[str, list[str]]]:
    """What the page says of each name: its value, and the other cells."""
    found: dict[str, tuple[str, list[str]]] = {}
    for line in page.splitlines():
        if match := ROW.fullmatch(line):
            name, value, rest = match.groups()
            assert name not in found, f"{name} is there twice"
            found[name] = (value, rest.split(" | "))
    return found


def number(text: str) -> float:
    return float(text.replace("_", ""))


def shown(value: Any) -> str:
    """A number as the page writes it."""
    return f"{value:_}" if isinstance(value, int) or not float(value).is_integer() else f"{int(value):_}"


def value_of(name: str) -> Any:
    """The value of `module.CONSTANT`, or of a default `module.Class.field`, below `epaxos`."""
    module, _, last = name.rpartition(".")
    try:
        return getattr(import_module(f"epaxos.{module}"), last)
    except ModuleNotFoundError:
        module, _, holder = module.rpartition(".")
        (field,) = (f for f in fields(getattr(import_module(f"epaxos.{module}"), holder)) if f.name == last)
        return field.default


def names_in(path: Path) -> Iterator[str]:
    """What the names of a module say is a bound."""
    module = ".".join(path.relative_to(ROOT / "epaxos").with_suffix("").parts)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        yield from (f"{module}.{name}" for name in _assigned(node))
        if isinstance(node, ast.ClassDef):
            for inner in (each for each in node.body if isinstance(each, ast.AnnAssign)):
                yield from (f"{module}.{node.name}.{name}" for name in _assigned(inner))


def _assigned(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.AnnAssign):
        targets: list[ast.expr] = [node.target] if node.value is not None else []
    else:
        targets = node.targets if isinstance(node, ast.Assign) else []
    flat = [t for target in targets for t in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return [t.id for t in flat if isinstance(t, ast.Name) and BOUND.fullmatch(t.id)]


def bounds() -> list[str]:
    """All bounds that are no settings."""
    settings = {key for section in SECTIONS.values() for key in section.settings}
    found = []
    for path in sorted((ROOT / "epaxos").rglob("*.py")):
        if not str(path.relative_to(ROOT / "epaxos")).startswith(NOT_OF_THE_PRODUCT):
            found += [name for name in names_in(path) if name.rpartition(".")[2] not in settings]
    return found


class LimitsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rows = rows(PAGE.read_text(encoding="utf-8"))

    def test_every_setting(self) -> None:
        """Its default and what is allowed are those of the code."""
        for section in SECTIONS.values():
            for key, setting in section.settings.items():
                if not isinstance(setting.kind, Number):
                    continue
                low, high = setting.kind.low, setting.kind.high
                name = f"[{section.name}] {key}"
                row = f"| `{name}` | {shown(setting.default)} | {shown(low)} to {shown(high)} | … | … |"
                self.assertIn(name, self.rows, f"{PAGE.name} needs this row: {row}")
                default, (allowed, *rest) = self.rows[name]
                self.assertEqual(number(default), setting.default, row)
                self.assertEqual([number(text) for text in allowed.split(" to ")], [low, high], row)
                self.assertEqual(len(rest), 2, row)

    def test_every_constant(self) -> None:
        for name in bounds():
            if name not in NO_BOUNDS:
                row = f"| `{name}` | {shown(value_of(name))} | … | … |"
                self.assertIn(name, self.rows, f"{PAGE.name} needs this row: {row}")

    def test_every_value(self) -> None:
        """Nothing on the page is gone from the code, or has another value."""
        settings = {f"[{name}] {key}" for name, section in SECTIONS.items() for key in section.settings}
        for name, (value, rest) in self.rows.items():
            if name.startswith("["):
                self.assertIn(name, settings)
            else:
                self.assertEqual(number(value), float(value_of(name)), name)
                self.assertEqual(len(rest), 2, name)

    def test_exceptions_are_no_longer_than_needed(self) -> None:
        self.assertEqual([name for name in NO_BOUNDS if name not in bounds()], [])

    def test_what_would_be_missed(self) -> None:
        """The scan finds every kind of name."""
        resp = ROOT / "epaxos" / "resp"
        self.assertIn("resp.shapes.SHAPES_MAX", list(names_in(resp / "shapes.py")))
        self.assertIn("resp.limits.RespLimits.pipeline_bytes_max", list(names_in(resp / "limits.py")))
        self.assertIn("protocol.values.ids.NUMBER_LIMIT", bounds())
        self.assertIn("interfaces.redis.INTEGER_MAX", bounds())
