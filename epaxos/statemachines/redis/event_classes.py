"""The classes of events that `notify-keyspace-events` names, as Redis writes and shows them."""

from __future__ import annotations

__all__ = ["EVENT", "KEYSPACE", "LETTERS", "classes_of", "text_of_classes"]

_OF_TYPES = "g$lshzxetd"
LETTERS = {letter: 1 << number for number, letter in enumerate(f"{_OF_TYPES}nKEm")}
"""The bit of each class.  `A` stands for all up to `d`."""
KEYSPACE, EVENT = LETTERS["K"], LETTERS["E"]
_ALL = sum(LETTERS[letter] for letter in _OF_TYPES)


def classes_of(text: bytes) -> int:
    """The bits of the classes.  Raises ValueError, in Redis' words, for a letter that is none."""
    found = 0
    for letter in text.decode("latin-1"):
        if letter != "A" and letter not in LETTERS:
            raise ValueError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
        found |= _ALL if letter == "A" else LETTERS[letter]
    return found


def text_of_classes(classes: int) -> bytes:
    """The letters of the classes, in Redis' order; `n` stands last where there is an `A`."""
    if classes & _ALL == _ALL:
        return b"A" + "".join(letter for letter in "KEmn" if classes & LETTERS[letter]).encode()
    return "".join(letter for letter, bit in LETTERS.items() if classes & bit).encode()
