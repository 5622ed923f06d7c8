"""What the judge of deadlines lets pass, and what not."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Reply
from epaxos.verify.judges.expiry import ExpiryJudge

MS = 1000
Event = tuple[int, int, str, Reply]
"""When a command was called and when it returned, in milliseconds, the command, and its reply; "?": nobody
knows."""


def verdict(*events: Event, error_ms: int = 10, trusted: bool = True) -> str:
    """What is wrong; empty when nothing is."""
    judge = ExpiryJudge(error_ms * MS)
    moments = sorted([(call, number, True) for number, (call, *_) in enumerate(events)]
        + [(end, number, False) for number, (_, end, *_) in enumerate(events)])  # fmt: skip
    asked = {}
    for at_ms, number, is_call in moments:
        _, _, text, reply = events[number]
        if is_call:
            words = [word.encode() for word in text.split()]
            asked[number] = judge.call(f"e{number}", words, at_ms * MS, 0, trusted)
        elif reply == "?":
            judge.give_up(asked[number], True, at_ms * MS)
        else:
            judge.answer(asked[number], reply, at_ms * MS, trusted)
    wrong, undecided = judge.judge(10_000)
    assert not undecided
    return wrong


SET: Event = (0, 5, "SET k v PX 100", "OK")


class ExpiryJudgeTests(SynchronousTestCase):
    def test_what_is_right(self) -> None:
        for events in (
            [SET, (50, 55, "GET k", b"v"), (120, 125, "GET k", None)],
            [SET, (95, 96, "GET k", None)],
            [SET, (110, 112, "GET k", b"v"), (113, 114, "GET k", None)],
            [SET, (50, 51, "PERSIST k", 1), (500, 505, "GET k", b"v"), (510, 511, "PERSIST k", 0)],
            [SET, (50, 51, "PEXPIRE k 500", 1), (500, 501, "GET k", b"v"), (570, 571, "DEL k", 0)],
            [SET, (50, 51, "PERSIST k", "?"), (500, 505, "GET k", b"v")],
            [SET, (120, 121, "PERSIST k", 0), (122, 123, "PEXPIRE k 5", 0)],
            [SET, (50, 51, "SET k w", "OK"), (500, 505, "GET k", b"w")],
            [SET, (50, 51, "DEL k", 1), (52, 53, "GET k", None)],
            [(0, 300, "SET k v PX 100", "OK"), (50, 51, "GET k", b"v"), (380, 381, "GET k", b"v")],
        ):
            self.assertEqual(verdict(*events), "", f"{events}")

    def test_what_is_wrong(self) -> None:
        for text, events in (
            ("it comes back", [SET, (95, 96, "GET k", None), (97, 98, "GET k", b"v")]),
            ("it lives too short", [SET, (85, 86, "GET k", None)]),
            ("it lives too long", [SET, (116, 117, "GET k", b"v")]),
            ("it is saved too late", [SET, (116, 117, "PERSIST k", 1)]),
            ("it is prolonged too late", [SET, (116, 117, "PEXPIRE k 5", 1)]),
            ("it is deleted twice", [SET, (10, 11, "DEL k", 1), (12, 13, "DEL k", 1)]),
            ("a new one goes with the old one",
             [SET, (50, 51, "SET k w PX 100", "OK"), (120, 121, "GET k", None)]),
            ("one without an end ends", [SET, (50, 51, "SET k w", "OK"), (120, 121, "GET k", None)]),
        ):  # fmt: skip
            self.assertIn("Expiry", verdict(*events), text)

    def test_a_clock_that_was_not_to_be_trusted(self) -> None:
        """There a key may be seen behind its time, but it does not come back."""
        late: Event = (200, 201, "GET k", b"v")
        self.assertEqual(verdict(SET, late, trusted=False), "")
        self.assertIn("Expiry", verdict(SET, (150, 151, "GET k", None), late, trusted=False))
