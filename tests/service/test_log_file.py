"""The file of a replica's log."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from epaxos.service.log_file import LOG_BYTES_MAX, LOGS_MAX, begin, choose


class LogTests(SynchronousTestCase):
    """The file of a log."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()
        self.log, name = choose(str(self.path))
        self.assertEqual(name, "epaxos.service.log_file.begin")
        observer = begin()
        self.say = lambda text: observer({"log_time": 0, "log_format": "{t}", "t": text, "log_level": None})

    def test_opened_again_after_it_was_moved(self) -> None:
        self.say("one")
        moved = self.path.with_suffix(".moved")
        self.path.rename(moved)
        self.say("two")
        self.log.reopen()
        self.say("three")
        self.assertEqual(len(moved.read_text().splitlines()), 2)
        self.assertIn("three", self.path.read_text())

    def test_one_that_cannot_be_opened_again_goes_on(self) -> None:
        moved = self.path.with_suffix(".moved")
        self.path.rename(moved)
        self.path.mkdir()
        with self.assertRaises(OSError):
            self.log.reopen()
        self.say("goes on")
        self.assertIn("goes on", moved.read_text())

    def test_begun_anew(self) -> None:
        self.say("one")
        self.log.rotate()
        self.say("two")
        self.assertIn("one", self.path.with_name(self.path.name + ".1").read_text())
        self.assertNotIn("one", self.path.read_text())

    def older(self) -> list[str]:
        """The endings of the names of older files."""
        return sorted(path.suffix for path in self.path.parent.glob(f"{self.path.name}.*"))

    def test_the_next_one_when_it_is_long(self) -> None:
        """docs: operating/run, "The log"."""
        for _ in range(LOG_BYTES_MAX // 100_000 + 2):
            self.say("x" * 100_000)
        self.assertEqual(self.older(), [".1"])
        sizes = [path.stat().st_size for path in (self.path, self.path.with_name(self.path.name + ".1"))]
        self.assertLess(max(sizes), LOG_BYTES_MAX + 200_000)

    def test_the_oldest_are_removed(self) -> None:
        for number in range(LOGS_MAX + 5):
            self.say(f"line {number}")
            self.log.rotate()
        self.assertEqual(self.older(), sorted(f".{number}" for number in range(1, LOGS_MAX + 1)))
        self.assertIn(f"line {LOGS_MAX + 4}", self.path.with_name(self.path.name + ".1").read_text())

    def test_the_next_file_that_could_not_be_opened_is_tried_again(self) -> None:
        """Whatever it was that was missing (descriptors, say), the log is not silent for ever."""
        file = self.log._file
        assert file is not None
        open_file = file._openFile

        def fail() -> None:
            raise OSError(24, "Too many open files")

        self.patch(file, "_openFile", fail)
        with self.assertRaises(OSError):
            self.log.rotate()
        with self.assertRaises(OSError):
            self.say("lost")
        self.patch(file, "_openFile", open_file)
        self.say("back")
        self.assertIn("back", self.path.read_text())

    def test_any_text(self) -> None:
        """Such as the path of a file whose name is not UTF-8."""
        self.say("caf\udce9")
        self.assertIn("caf\\udce9", self.path.read_text())

    def test_a_file_that_cannot_be_opened(self) -> None:
        choose("/nowhere/x.log")
        with self.assertRaises(SystemExit) as end:
            begin()
        self.assertEqual(
            str(end.exception), "epaxos: the log /nowhere/x.log cannot be opened: No such file or directory"
        )
