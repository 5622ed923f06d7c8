from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Commands(_message.Message):
    __slots__ = ("names", "lengths", "shapes", "keyed", "keys", "arguments", "time_ms", "seed")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    LENGTHS_FIELD_NUMBER: _ClassVar[int]
    SHAPES_FIELD_NUMBER: _ClassVar[int]
    KEYED_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[bytes]
    lengths: _containers.RepeatedScalarFieldContainer[int]
    shapes: _containers.RepeatedScalarFieldContainer[int]
    keyed: bool
    keys: _containers.RepeatedScalarFieldContainer[int]
    arguments: _containers.RepeatedScalarFieldContainer[bytes]
    time_ms: int
    seed: int
    def __init__(self, names: _Optional[_Iterable[bytes]] = ..., lengths: _Optional[_Iterable[int]] = ..., shapes: _Optional[_Iterable[int]] = ..., keyed: bool = ..., keys: _Optional[_Iterable[int]] = ..., arguments: _Optional[_Iterable[bytes]] = ..., time_ms: _Optional[int] = ..., seed: _Optional[int] = ...) -> None: ...
