"""What a mutant is, and how it is put into the running product and taken out again.

A mutant changes the real code, in the source text of one function or in one entry of a table, so
that nothing of the product is copied and a mutant shows just what it breaks.  A change of the product
that a mutant does not fit any more is an error, not a mutant that does nothing.
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
    """In the source of `target`, a function, method or property, each old text is replaced by a new one.

    The old ones are found there exactly once, and all are indented as if `target` were not in a class.
    """

    target: Any
    replacements: tuple[tuple[str, str], ...]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Everybody who calls the function, by whatever name, gets the broken one."""
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
    """In `table`, `key` stands for `value`."""

    table: Mapping[Any, Any]
    key: Any
    value: Any

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The table is changed in place."""
        table = cast("dict[Any, Any]", self.table)
        kept = table[self.key]
        table[self.key] = self.value
        try:
            yield
        finally:
            table[self.key] = kept


@dataclass(frozen=True)
class Mutant:
    """`rule`: what the pages of the protocol say and this mutant does not do.  `changes` are made together.

    `n`: how many replicas it is hunted with, where the rule is of some sizes only; else the seeds say.
    `profile`: of the plans that it is hunted with.
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
