"""Which of the two builds is tested: plain Python, or what mypyc has compiled."""

from __future__ import annotations

from unittest import skipIf

from epaxos.node import node

__all__ = ["COMPILED", "plain_only"]

COMPILED = not node.__file__.endswith(".py")
plain_only = skipIf(COMPILED, "it changes a part from outside, which a compiled one does not see")
