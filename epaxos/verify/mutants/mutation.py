"""Mutants, and how they are put into the running product and taken out again.

A mutant changes the real code: the source text of one function, or one entry of a table.  So nothing of the
product is copied, and the mutant shows exactly what it breaks.  When the product changes and a mutant no
longer fits, that is an error.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from textwrap import dedent
from types import CodeType, FunctionType
from typing import Any, NamedTuple, Union, cast

__all__ = ["Edit", "Entry", "Mutant"]


_broken: set[FunctionType] = set()


class Edit(NamedTuple):
    """Replaces each old text in the source of `target`, a function, method or property, by a new one.

    Each old text must occur there exactly once.  Texts are indented as if `target` were not in a class.
    """

    target: Any
    replacements: tuple[tuple[str, str], ...]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Break the function for all callers, in this process.  Raises ValueError when a text does not
        fit."""
        function = _function(self.target)
        if function in _broken:
            raise ValueError(f"{function.__qualname__} is broken already")
        code = function.__code__
        function.__code__ = self._compile(function)
        _broken.add(function)
        try:
            yield
        finally:
            function.__code__ = code
            _broken.remove(function)

    def _compile(self, function: FunctionType) -> CodeType:
        source = dedent(inspect.getsource(function))
        for old, new in self.replacements:
            if source.count(old) != 1:
                raise ValueError(f"{function.__qualname__} has {source.count(old)} times, not once:\n{old}")
            source = source.replace(old, new)
        tree = ast.parse(source)
        ast.increment_lineno(tree, function.__code__.co_firstlineno - 1)
        module = compile(tree, function.__code__.co_filename, "exec")
        return next(
            constant
            for constant in module.co_consts
            if isinstance(constant, CodeType) and constant.co_name == function.__name__
        )


class Entry(NamedTuple):
    """Puts `value` in the place of `key` in `table`."""

    table: Mapping[Any, Any]
    key: Any
    value: Any

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Change the table in place."""
        table = cast("dict[Any, Any]", self.table)
        kept = table[self.key]
        table[self.key] = self.value
        try:
            yield
        finally:
            table[self.key] = kept


@dataclass(frozen=True)
class Mutant:
    """A broken rule.

    `rule`: the rule that it breaks, as the pages of the protocol have it; `changes` are made together.
    `n`: the number of replicas that it is hunted with, when the rule exists for some numbers only; None:
    the seeds choose. `profile`: the profile of the plans that it is hunted with.
    """

    name: str
    rule: str
    changes: tuple[Union[Edit, Entry], ...]
    n: int | None = None
    profile: str = "recovery"

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Break the product for a while, in this process."""
        with ExitStack() as stack:
            for change in self.changes:
                stack.enter_context(change.applied())
            yield


def _function(target: Any) -> FunctionType:
    """The function behind a method, a class method or a property."""
    if isinstance(target, property):
        target = target.fget
    function: Callable[..., Any] = getattr(target, "__func__", target)
    if not isinstance(function, FunctionType):
        raise ValueError(f"{target} is not a function in Python source")
    return function
