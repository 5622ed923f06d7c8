"""The generated pages are what the code says, and everything in the code is explained."""

from __future__ import annotations

from unittest import skipIf
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from epaxos.resp.commands.described import described
from tests.builds import COMPILED
from tests.generated.commands import infos, session_names
from tests.generated.errors import MEANINGS, errors, found
from tests.generated.page import docstring_of
from tests.generated.pages import PAGES, ROOT, text_of
from tests.generated.rooms import floors, picture, reduced
from tests.generated.wire import Declaration, declared


class FreshnessTests(SynchronousTestCase):
    @skipIf(COMPILED, "a compiled module has no docstrings, of which some pages are made")
    def test_no_page_is_stale(self) -> None:
        for name in PAGES:
            self.assertEqual(
                (ROOT / name).read_text(encoding="utf-8"), text_of(name), f"{name}: make generated"
            )

    def test_every_command_is_explained_and_no_other(self) -> None:
        for info in infos():
            self.assertEqual(info.usage.split()[0].lower(), info.name)
            self.assertTrue(info.summary, info.name)
        for name in session_names():
            self.assertTrue(described(name.encode()).summary, name)

    def test_every_error_is_explained_and_no_other(self) -> None:
        self.assertEqual(found(), sorted(MEANINGS), "tests/generated/errors.py says what each error means")

    def test_errors_of_every_kind_are_found(self) -> None:
        """In bytes, as plain and as formatted strings."""
        for text in ("ERR max number of clients reached", "ERR syntax error", "ERR too many client IDs"):
            self.assertIn(f"| `{text}` |", errors())
        self.assertIn("CLUSTERDOWN no quorum answered within … s", found())

    def test_every_message_of_the_wire_is_there(self) -> None:
        found = {each.name: each for each in declared() if isinstance(each, Declaration)}
        self.assertTrue({"Frame", "PreAccept", "RecoverOK", "ReadOK", "Hello", "Answer"} <= set(found))
        self.assertEqual(found["Fetch"].fields[0][3], "The ids as columns of equal length.")
        self.assertEqual([field[0] for field in found["RecoverOK"].fields], [str(n) for n in range(1, 10)])


class PictureTests(SynchronousTestCase):
    def test_every_line_leads_down(self) -> None:
        tree = ElementTree.fromstring(picture())
        lines = list(tree.iter("{http://www.w3.org/2000/svg}line"))
        self.assertGreater(len(lines), 20)
        for line in lines:
            self.assertLess(float(line.get("y1", "")), float(line.get("y2", "")))

    def test_floors(self) -> None:
        self.assertEqual(floors({"a": (), "b": ("a",), "c": ("a", "b")}), {"a": 0, "b": 1, "c": 2})
        self.assertRaises(ValueError, floors, {"a": ("b",), "b": ("a",)})

    def test_what_others_imply_is_not_drawn(self) -> None:
        self.assertEqual(list(reduced({"a": (), "b": ("a",), "c": ("a", "b")})), [("b", "a"), ("c", "b")])


class DocstringTests(SynchronousTestCase):
    def test_what_is_indented_is_code(self) -> None:
        class Documented:
            """Words.

                one

                two

            More words.
            """

        fenced = "Words.\n\n```\n    one\n\n    two\n```\n\nMore."
        self.assertEqual(docstring_of(type("Fenced", (), {"__doc__": fenced})), fenced)
        text = "Words.\n\n```text\none\n\ntwo\n```\n\nMore words."
        self.assertEqual(docstring_of(Documented), text)
