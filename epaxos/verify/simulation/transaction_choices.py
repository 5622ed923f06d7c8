"""What the clients of transactions ask for: commands on few keys, and scripts that do the same."""

from __future__ import annotations

from epaxos.verify.judges.transactions import SCRIPTS
from epaxos.verify.simulation.asking import Words
from epaxos.verify.simulation.dice import Dice

__all__ = ["HASHES", "STRINGS", "Choices"]

STRINGS, HASHES = (b"t0", b"t1"), (b"h0",)
_FIELDS = (b"f", b"g")
_OF_HASHES = b"'HSET', KEYS[1], 's'"


class Choices:
    """Of the client of this number.  No other one writes the same values."""

    def __init__(self, dice: Dice, number: int) -> None:
        self._dice = dice
        self._number = number
        self._count = 0

    def _value(self) -> bytes:
        self._count += 1
        return b"%d" % (1000 * (self._number + 1) + self._count)

    def plain(self) -> Words:
        """A command on one key."""
        dice = self._dice
        if dice.chance(0.3):
            key, field = dice.pick(HASHES), dice.pick(_FIELDS)
            return dice.pick(((b"HSET", key, field, self._value()), (b"HDEL", key, field), (b"HGETALL", key)))
        return dice.pick((self.change(dice.pick(STRINGS)), (b"GET", dice.pick(STRINGS))))

    def change(self, key: bytes) -> Words:
        """A command that changes this key, mostly."""
        dice = self._dice
        if key in HASHES:
            return (b"HSET", key, dice.pick(_FIELDS), self._value())
        set_it = (b"SET", key, self._value())
        return dice.pick((set_it, set_it, (b"INCR", key), (b"DEL", key)))

    def script(self) -> Words:
        """A script.  A comment makes its text another one half of the time, so that nobody knows it."""
        dice = self._dice
        script = dice.pick(SCRIPTS)
        text = script.text
        if dice.chance(0.5):
            text += b"-- %b" % self._value()
        keys = list(HASHES) if _OF_HASHES in text else dice.pick_some(STRINGS, script.declared)
        others = [key for key in STRINGS if key not in keys] or list(STRINGS)
        arguments = [dice.pick(others), self._value()] if script.undeclared else [self._value()]
        return (b"EVAL", text, b"%d" % len(keys), *keys, *arguments)

    def queue(self) -> list[tuple[int, Words]]:
        """The commands of a transaction, with their database."""
        dice = self._dice
        return [(0, self.script() if dice.chance(0.25) else self.plain()) for _ in range(dice.between(1, 3))]
