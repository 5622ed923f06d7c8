from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Commands(_message.Message):
    __slots__ = ("lengths", "arguments")
    LENGTHS_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    lengths: _containers.RepeatedScalarFieldContainer[int]
    arguments: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, lengths: _Optional[_Iterable[int]] = ..., arguments: _Optional[_Iterable[bytes]] = ...) -> None: ...
