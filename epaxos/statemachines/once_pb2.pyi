from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Envelope(_message.Message):
    __slots__ = ("now_s", "parts")
    NOW_S_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    now_s: int
    parts: _containers.RepeatedCompositeFieldContainer[Part]
    def __init__(self, now_s: _Optional[int] = ..., parts: _Optional[_Iterable[_Union[Part, _Mapping]]] = ...) -> None: ...

class Part(_message.Message):
    __slots__ = ("kind", "session", "number", "acked", "uses", "writes", "reads", "payload", "commands", "barrier")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ACKED_FIELD_NUMBER: _ClassVar[int]
    USES_FIELD_NUMBER: _ClassVar[int]
    WRITES_FIELD_NUMBER: _ClassVar[int]
    READS_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    BARRIER_FIELD_NUMBER: _ClassVar[int]
    kind: int
    session: bytes
    number: int
    acked: int
    uses: int
    writes: _containers.RepeatedScalarFieldContainer[bytes]
    reads: _containers.RepeatedScalarFieldContainer[bytes]
    payload: bytes
    commands: int
    barrier: bool
    def __init__(self, kind: _Optional[int] = ..., session: _Optional[bytes] = ..., number: _Optional[int] = ..., acked: _Optional[int] = ..., uses: _Optional[int] = ..., writes: _Optional[_Iterable[bytes]] = ..., reads: _Optional[_Iterable[bytes]] = ..., payload: _Optional[bytes] = ..., commands: _Optional[int] = ..., barrier: bool = ...) -> None: ...
