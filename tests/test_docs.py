"""The pages below docs/: links lead somewhere, the index leads to every page, and what the code cites exists.

Code and tests cite a page by the end of its path, and a section by its heading where that helps, as in
`docs: protocol/rules, "Commit"`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.wrapping import COLUMNS, too_long, wrapped

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BESIDE = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "newsfragments/README.md")
LINK = re.compile(r"\]\(([^()\s]+)\)")
CITED = re.compile(r"\bdocs: ((?:[a-z-]+/)*[a-z-]+)(?:,\s+\"([^\"]+)\")?")
EXAMPLES = ("counter", "leaderboard", "locks", "worker")
"""Modules that pages tell readers to write."""
CITING = ("epaxos", "tests", "twisted", "conf")


def pages() -> list[Path]:
    """Every page, and what stands beside docs."""
    return [*sorted(DOCS.rglob("*.md")), *(ROOT / name for name in BESIDE)]


def prose(page: Path) -> str:
    """A page without its fenced code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def headings(page: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)


def anchor(heading: str) -> str:
    """What Git hosts and MyST make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def targets(page: Path) -> Iterator[tuple[Path, str]]:
    """The files and anchors that the links of a page lead to, those to other hosts left out."""
    for link in LINK.findall(re.sub(r"`[^`\n]*`", "", prose(page))):
        if "://" not in link:
            path, _, fragment = link.partition("#")
            yield (page.parent / path).resolve() if path else page, fragment


def cited_page(name: str) -> Path | None:
    """The page that a citation means: one whose path ends with the name."""
    names = {page: f"/{page.relative_to(DOCS).with_suffix('')}" for page in DOCS.rglob("*.md")}
    found = [page for page, whole in names.items() if whole.endswith(f"/{name}")]
    return found[0] if len(found) == 1 else None


class LinksTests(SynchronousTestCase):
    def test_links_lead_somewhere(self) -> None:
        wrong = []
        for page in pages():
            for path, fragment in targets(page):
                there = path.exists() and (not fragment or fragment in map(anchor, headings(path)))
                if not there:
                    wrong.append(f"{page.relative_to(ROOT)}: {path}#{fragment}")
        self.assertEqual(wrong, [])

    def test_every_page_is_reached_from_the_index(self) -> None:
        reached = {path for path, _ in targets(DOCS / "index.md")}
        missing = {page for page in DOCS.rglob("*.md") if page.name != "index.md"} - reached
        self.assertEqual(missing, set())

    def test_anchors(self) -> None:
        self.assertEqual(anchor("GET, `SET` and what-not?"), "get-set-and-what-not")


class NamesTests(SynchronousTestCase):
    """What the pages call by its name in the code; the diary of what once was is left out."""

    def setUp(self) -> None:
        diary = DOCS / "internals" / "performance-log.md"
        texts = (prose(page) for page in pages() if page != diary and page.name != "CHANGELOG.md")
        self.code = sorted({code for text in texts for code in re.findall(r"`([^`\n]+)`", text)})

    def test_files_exist(self) -> None:
        """By the end of their path."""
        names = [code for code in self.code if re.fullmatch(r"[\w/]+\.(py|ini|proto)", code)]
        there = [f"/{path.relative_to(ROOT)}" for folder in CITING for path in (ROOT / folder).rglob("*.*")]
        missing = [name for name in names if not any(path.endswith(f"/{name}") for path in there)]
        self.assertEqual([name for name in missing if Path(name).stem.partition("_")[0] not in EXAMPLES], [])
        self.assertGreater(len(names), 20)

    def test_modules_and_names_exist(self) -> None:
        names = [code for code in self.code if re.fullmatch(r"epaxos(\.\w+)+", code)]
        for name in names:
            module, _, attribute = name.rpartition(".")
            try:
                import_module(name)
            except ModuleNotFoundError:
                self.assertTrue(hasattr(import_module(module), attribute), name)
        self.assertGreater(len(names), 3)


class WrappingTests(SynchronousTestCase):
    def test_text_wraps(self) -> None:
        long = {str(page.relative_to(ROOT)): too_long(page.read_text(encoding="utf-8")) for page in pages()}
        self.assertEqual(
            {name: lines for name, lines in long.items() if lines}, {}, "python -m tests.wrapping"
        )

    def test_what_is_wrapped_and_what_is_kept(self) -> None:
        words = "word " * 30
        kept = f"# {words}\n\n| {words} |\n\n```\n{words}\n```\n\n    {words}\n"
        self.assertEqual(wrapped(kept), kept)
        self.assertEqual(too_long(kept), [])
        for text in (words, f"- {words}\n  {words}", f"1. {words}"):
            self.assertNotEqual(too_long(text), [])
            self.assertEqual(too_long(wrapped(text)), [])
            self.assertEqual(wrapped(wrapped(text)), wrapped(text))
            self.assertEqual(wrapped(text).split(), text.split())
            self.assertLessEqual(max(map(len, wrapped(text).split("\n"))), COLUMNS)

    def test_no_line_begins_with_what_would_begin_a_list(self) -> None:
        self.assertNotIn("\n- ", wrapped("word " * 19 + "abcd - efgh " * 3))

    def test_code_and_links_are_not_broken(self) -> None:
        self.assertIn("`a b c`", wrapped("word " * 19 + "x `a b c` y"))


class ApiDocsTests(SynchronousTestCase):
    def test_docstrings_are_text_but_for_names(self) -> None:
        """What would be markup of reStructuredText is not."""
        sys.path.insert(0, str(DOCS))
        self.addCleanup(sys.path.remove, str(DOCS))
        try:
            from apidocs import as_restructuredtext
        except ImportError as error:
            raise SkipTest("pip install -e '.[docs]'") from error
        code = ["a:", "::", "b_", "c", "d"]
        for text in ("a:\n\n    b_\n\n     c\n\nd", "a::\n\n    b_\n\n     c\n\nd"):
            self.assertEqual(as_restructuredtext(text).split(), code)
        self.assertEqual(as_restructuredtext("|R| of `a_b`, X_ *"), r"\|R\| of `a_b`, X\_ \*")
        self.assertEqual(
            as_restructuredtext("a\n\n```\nb_\n\n c\n```\nd`"), "a\n\n::\n\n    b_\n\n     c\n\nd\\`"
        )


class CitationTests(SynchronousTestCase):
    def test_what_is_cited_is_there(self) -> None:
        wrong, count = [], 0
        for folder in CITING:
            for path in sorted((ROOT / folder).rglob("*")):
                if path.suffix not in (".py", ".ini", ".proto") or path.name == Path(__file__).name:
                    continue
                for name, section in CITED.findall(path.read_text(encoding="utf-8")):
                    count += 1
                    page = cited_page(name)
                    if page is None or (section and " ".join(section.split()) not in headings(page)):
                        wrong.append(f"{path.relative_to(ROOT)}: {name}, {section!r}")
        self.assertEqual(wrong, [])
        self.assertGreater(count, 10)
