"""The encoding of values: what goes in comes out, and nothing else goes in."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epaxos.machines.kinds import KINDS, kind_of
from epaxos.machines.values import DEPTH_MAX, INTEGER_BITS_MAX, NotAValueError, decode, encode

_MOST: int = 2**INTEGER_BITS_MAX - 1
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-_MOST, _MOST)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary()
)
_VALUES: Any = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(_SCALARS, inner)
        | st.dictionaries(st.sampled_from(("=b", "=t", "=d", "a")), inner)
    ),
    max_leaves=20,
)  # fmt: skip


def _shape(value: Any) -> Any:
    """A value with the types and the order that `==` does not see."""
    if isinstance(value, dict):
        return dict, [(_shape(key), _shape(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [_shape(item) for item in value]
    return type(value), repr(value)


class ValuesTests(SynchronousTestCase):
    @given(_VALUES)
    def test_what_goes_in_comes_out(self, value: Any) -> None:
        """With its types and its order, and always as the same bytes."""
        data = encode(value)
        self.assertEqual(_shape(decode(data)), _shape(value))
        self.assertEqual(encode(decode(data)), data)

    def test_what_is_no_value(self) -> None:
        deep: Any = 1
        for _ in range(DEPTH_MAX + 1):
            deep = [deep]
        for value, text in (
            ({1, 2}, "of the type set"),
            (object(), "of the type object"),
            ([{"a": bytearray()}], "of the type bytearray"),
            (math.nan, "not finite"),
            ([math.inf], "not finite"),
            (2**INTEGER_BITS_MAX, "256 bits"),
            ("\ud800", "surrogate"),
            (deep, "32 containers"),
            ({frozenset(): 1}, "a key of the type frozenset"),
        ):
            self.assertIn(text, str(self.assertRaises(NotAValueError, encode, value)))
        self.assertEqual(decode(encode(deep[0])), deep[0])

    def test_bytes_that_are_no_value(self) -> None:
        for data in (
            b"", b"[", b"\xff", b"NaN", b"Infinity", b'{"=b": 3}', b'{"=b": "?"}', b'{"=t": 3}',
            b'{"=d": [1]}', b'{"=d": [[[1], 2]]}', b"[" * 100_000,
        ):  # fmt: skip
            self.assertRaises(ValueError, decode, data)


class KindsTests(SynchronousTestCase):
    def test_texts(self) -> None:
        for kind, text, value in (
            (str, "ä".encode(), "ä"),
            (bytes, b"\xff", b"\xff"),
            (int, b"-12", -12),
            (float, b"1.5", 1.5),
            (bool, b"1", True),
            (list, b'[1,"a"]', [1, "a"]),
            (dict, b'{"b":1,"a":[]}', {"b": 1, "a": []}),
            (object, b"null", None),
        ):
            self.assertEqual(KINDS[kind].read(text), value)
            self.assertEqual(KINDS[kind].text(value), text)

    def test_more_texts_that_clients_may_send(self) -> None:
        for kind, text, value in (
            (float, b"3", 3.0), (float, b"-1e3", -1000.0), (bool, b"Yes", True), (bool, b"false", False),
            (list, b"[ 1 ]", [1]),
        ):  # fmt: skip
            self.assertEqual(KINDS[kind].read(text), value)
        self.assertEqual(KINDS[float].text(3), b"3.0")

    def test_texts_that_are_refused(self) -> None:
        """Above all, no key has two texts."""
        for kind, text in (
            (str, b"\xff"), (int, b"+1"), (int, b"01"), (int, b"-0"), (int, b" 1"), (int, b"1_0"),
            (int, b"9" * 90), (int, b""), (float, b"nan"), (float, b"inf"), (float, b"1e999"),
            (float, b"1_0"),
            (bool, b"2"), (list, b"{}"), (list, b"x"), (dict, b"[]"), (object, b"NaN"),
        ):  # fmt: skip
            self.assertRaises(ValueError, KINDS[kind].read, text)

    def test_values_of_another_type(self) -> None:
        for kind, value in ((str, b"a"), (int, True), (int, 1.0), (bytes, "a"), (bool, 1), (list, ())):
            self.assertRaises(TypeError, KINDS[kind].text, value)
        for kind, other in ((int, 2**300), (float, math.nan), (str, "\ud800"), (list, [{1}])):
            self.assertRaises(ValueError, KINDS[kind].text, other)

    def test_annotations(self) -> None:
        self.assertIs(kind_of(list[int]), KINDS[list])
        self.assertIs(kind_of(Any), KINDS[object])
        self.assertIs(kind_of(set), None)
        self.assertIs(kind_of("int | None"), None)
