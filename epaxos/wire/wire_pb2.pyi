from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Frame(_message.Message):
    __slots__ = ("messages",)
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[Message]
    def __init__(self, messages: _Optional[_Iterable[_Union[Message, _Mapping]]] = ...) -> None: ...

class Message(_message.Message):
    __slots__ = ("pre_accept", "pre_accept_ok", "accept", "accept_ok", "commit", "recover", "recover_ok", "validate", "validate_ok", "waiting", "fetch", "heartbeat", "read", "read_ok")
    PRE_ACCEPT_FIELD_NUMBER: _ClassVar[int]
    PRE_ACCEPT_OK_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_OK_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    RECOVER_FIELD_NUMBER: _ClassVar[int]
    RECOVER_OK_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_OK_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    FETCH_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    READ_OK_FIELD_NUMBER: _ClassVar[int]
    pre_accept: PreAccept
    pre_accept_ok: PreAcceptOK
    accept: Accept
    accept_ok: AcceptOK
    commit: Commit
    recover: Recover
    recover_ok: RecoverOK
    validate: Validate
    validate_ok: ValidateOK
    waiting: Waiting
    fetch: Fetch
    heartbeat: Heartbeat
    read: Read
    read_ok: ReadOK
    def __init__(self, pre_accept: _Optional[_Union[PreAccept, _Mapping]] = ..., pre_accept_ok: _Optional[_Union[PreAcceptOK, _Mapping]] = ..., accept: _Optional[_Union[Accept, _Mapping]] = ..., accept_ok: _Optional[_Union[AcceptOK, _Mapping]] = ..., commit: _Optional[_Union[Commit, _Mapping]] = ..., recover: _Optional[_Union[Recover, _Mapping]] = ..., recover_ok: _Optional[_Union[RecoverOK, _Mapping]] = ..., validate: _Optional[_Union[Validate, _Mapping]] = ..., validate_ok: _Optional[_Union[ValidateOK, _Mapping]] = ..., waiting: _Optional[_Union[Waiting, _Mapping]] = ..., fetch: _Optional[_Union[Fetch, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., read: _Optional[_Union[Read, _Mapping]] = ..., read_ok: _Optional[_Union[ReadOK, _Mapping]] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("writes", "reads", "payload", "commands", "barrier", "successor")
    WRITES_FIELD_NUMBER: _ClassVar[int]
    READS_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    BARRIER_FIELD_NUMBER: _ClassVar[int]
    SUCCESSOR_FIELD_NUMBER: _ClassVar[int]
    writes: _containers.RepeatedScalarFieldContainer[bytes]
    reads: _containers.RepeatedScalarFieldContainer[bytes]
    payload: bytes
    commands: int
    barrier: bool
    successor: Membership
    def __init__(self, writes: _Optional[_Iterable[bytes]] = ..., reads: _Optional[_Iterable[bytes]] = ..., payload: _Optional[bytes] = ..., commands: _Optional[int] = ..., barrier: bool = ..., successor: _Optional[_Union[Membership, _Mapping]] = ...) -> None: ...

class Membership(_message.Message):
    __slots__ = ("uuid", "epoch", "version", "numbers", "uids", "next_number", "changed_numbers", "changed_uids", "peer_connects", "client_connects", "status_connects", "why", "at")
    UUID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    UIDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    CHANGED_NUMBERS_FIELD_NUMBER: _ClassVar[int]
    CHANGED_UIDS_FIELD_NUMBER: _ClassVar[int]
    PEER_CONNECTS_FIELD_NUMBER: _ClassVar[int]
    CLIENT_CONNECTS_FIELD_NUMBER: _ClassVar[int]
    STATUS_CONNECTS_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    uuid: bytes
    epoch: int
    version: int
    numbers: _containers.RepeatedScalarFieldContainer[int]
    uids: _containers.RepeatedScalarFieldContainer[int]
    next_number: int
    changed_numbers: _containers.RepeatedScalarFieldContainer[int]
    changed_uids: _containers.RepeatedScalarFieldContainer[int]
    peer_connects: _containers.RepeatedScalarFieldContainer[str]
    client_connects: _containers.RepeatedScalarFieldContainer[str]
    status_connects: _containers.RepeatedScalarFieldContainer[str]
    why: str
    at: int
    def __init__(self, uuid: _Optional[bytes] = ..., epoch: _Optional[int] = ..., version: _Optional[int] = ..., numbers: _Optional[_Iterable[int]] = ..., uids: _Optional[_Iterable[int]] = ..., next_number: _Optional[int] = ..., changed_numbers: _Optional[_Iterable[int]] = ..., changed_uids: _Optional[_Iterable[int]] = ..., peer_connects: _Optional[_Iterable[str]] = ..., client_connects: _Optional[_Iterable[str]] = ..., status_connects: _Optional[_Iterable[str]] = ..., why: _Optional[str] = ..., at: _Optional[int] = ...) -> None: ...

class PreAccept(_message.Message):
    __slots__ = ("replica", "slot", "batch", "deps", "fast_quorum")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    DEPS_FIELD_NUMBER: _ClassVar[int]
    FAST_QUORUM_FIELD_NUMBER: _ClassVar[int]
    replica: int
    slot: int
    batch: bytes
    deps: _containers.RepeatedScalarFieldContainer[int]
    fast_quorum: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, replica: _Optional[int] = ..., slot: _Optional[int] = ..., batch: _Optional[bytes] = ..., deps: _Optional[_Iterable[int]] = ..., fast_quorum: _Optional[_Iterable[int]] = ...) -> None: ...

class PreAcceptOK(_message.Message):
    __slots__ = ("replica", "slot", "deps")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    DEPS_FIELD_NUMBER: _ClassVar[int]
    replica: int
    slot: int
    deps: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, replica: _Optional[int] = ..., slot: _Optional[int] = ..., deps: _Optional[_Iterable[int]] = ...) -> None: ...

class Accept(_message.Message):
    __slots__ = ("replica", "slot", "ballot", "batch", "deps")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    BALLOT_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    DEPS_FIELD_NUMBER: _ClassVar[int]
    replica: int
    slot: int
    ballot: int
    batch: bytes
    deps: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, replica: _Optional[int] = ..., slot: _Optional[int] = ..., ballot: _Optional[int] = ..., batch: _Optional[bytes] = ..., deps: _Optional[_Iterable[int]] = ...) -> None: ...

class AcceptOK(_message.Message):
    __slots__ = ("replica", "slot", "ballot")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    BALLOT_FIELD_NUMBER: _ClassVar[int]
    replica: int
    slot: int
    ballot: int
    def __init__(self, replica: _Optional[int] = ..., slot: _Optional[int] = ..., ballot: _Optional[int] = ...) -> None: ...

class Commit(_message.Message):
    __slots__ = ("replica", "slot", "ballot", "batch", "deps")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    BALLOT_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    DEPS_FIELD_NUMBER: _ClassVar[int]
    replica: int
    slot: int
    ballot: int
    batch: bytes
    deps: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, replica: _Optional[int] = ..., slot: _Optional[int] = ..., ballot: _Optional[int] = ..., batch: _Optional[bytes] = ..., deps: _Optional[_Iterable[int]] = ...) -> None: ...

class Recover(_message.Message):
    __slots__ = ("replica", "slot", "ballot")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    BALLOT_FIELD_NUMBER: _ClassVar[int]
    replica: int
    slot: int
    ballot: int
    def __init__(self, replica: _Optional[int] = ..., slot: _Optional[int] = ..., ballot: _Optional[int] = ...) -> None: ...

class RecoverOK(_message.Message):
    __slots__ = ("replica", "slot", "ballot", "accepted_ballot", "phase", "batch", "deps", "init_deps", "fast_quorum")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    BALLOT_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_BALLOT_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    DEPS_FIELD_NUMBER: _ClassVar[int]
    INIT_DEPS_FIELD_NUMBER: _ClassVar[int]
    FAST_QUORUM_FIELD_NUMBER: _ClassVar[int]
    replica: int
    slot: int
    ballot: int
    accepted_ballot: int
    phase: int
    batch: bytes
    deps: _containers.RepeatedScalarFieldContainer[int]
    init_deps: _containers.RepeatedScalarFieldContainer[int]
    fast_quorum: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, replica: _Optional[int] = ..., slot: _Optional[int] = ..., ballot: _Optional[int] = ..., accepted_ballot: _Optional[int] = ..., phase: _Optional[int] = ..., batch: _Optional[bytes] = ..., deps: _Optional[_Iterable[int]] = ..., init_deps: _Optional[_Iterable[int]] = ..., fast_quorum: _Optional[_Iterable[int]] = ...) -> None: ...

class Validate(_message.Message):
    __slots__ = ("replica", "slot", "ballot", "batch", "deps")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    BALLOT_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    DEPS_FIELD_NUMBER: _ClassVar[int]
    replica: int
    slot: int
    ballot: int
    batch: bytes
    deps: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, replica: _Optional[int] = ..., slot: _Optional[int] = ..., ballot: _Optional[int] = ..., batch: _Optional[bytes] = ..., deps: _Optional[_Iterable[int]] = ...) -> None: ...

class ValidateOK(_message.Message):
    __slots__ = ("replica", "slot", "ballot", "conflict_replicas", "conflict_slots", "conflict_committed")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    BALLOT_FIELD_NUMBER: _ClassVar[int]
    CONFLICT_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    CONFLICT_SLOTS_FIELD_NUMBER: _ClassVar[int]
    CONFLICT_COMMITTED_FIELD_NUMBER: _ClassVar[int]
    replica: int
    slot: int
    ballot: int
    conflict_replicas: _containers.RepeatedScalarFieldContainer[int]
    conflict_slots: _containers.RepeatedScalarFieldContainer[int]
    conflict_committed: _containers.RepeatedScalarFieldContainer[bool]
    def __init__(self, replica: _Optional[int] = ..., slot: _Optional[int] = ..., ballot: _Optional[int] = ..., conflict_replicas: _Optional[_Iterable[int]] = ..., conflict_slots: _Optional[_Iterable[int]] = ..., conflict_committed: _Optional[_Iterable[bool]] = ...) -> None: ...

class Waiting(_message.Message):
    __slots__ = ("replica", "slot", "votes")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    replica: int
    slot: int
    votes: int
    def __init__(self, replica: _Optional[int] = ..., slot: _Optional[int] = ..., votes: _Optional[int] = ...) -> None: ...

class Fetch(_message.Message):
    __slots__ = ("replicas", "slots")
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    replicas: _containers.RepeatedScalarFieldContainer[int]
    slots: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, replicas: _Optional[_Iterable[int]] = ..., slots: _Optional[_Iterable[int]] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("committed", "executed", "clocks")
    COMMITTED_FIELD_NUMBER: _ClassVar[int]
    EXECUTED_FIELD_NUMBER: _ClassVar[int]
    CLOCKS_FIELD_NUMBER: _ClassVar[int]
    committed: _containers.RepeatedScalarFieldContainer[int]
    executed: _containers.RepeatedScalarFieldContainer[int]
    clocks: Clocks
    def __init__(self, committed: _Optional[_Iterable[int]] = ..., executed: _Optional[_Iterable[int]] = ..., clocks: _Optional[_Union[Clocks, _Mapping]] = ...) -> None: ...

class Clocks(_message.Message):
    __slots__ = ("at_ms", "wall_ms", "cluster_ms", "echoed_ms", "held_ms")
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    WALL_MS_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_MS_FIELD_NUMBER: _ClassVar[int]
    ECHOED_MS_FIELD_NUMBER: _ClassVar[int]
    HELD_MS_FIELD_NUMBER: _ClassVar[int]
    at_ms: int
    wall_ms: int
    cluster_ms: int
    echoed_ms: _containers.RepeatedScalarFieldContainer[int]
    held_ms: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, at_ms: _Optional[int] = ..., wall_ms: _Optional[int] = ..., cluster_ms: _Optional[int] = ..., echoed_ms: _Optional[_Iterable[int]] = ..., held_ms: _Optional[_Iterable[int]] = ...) -> None: ...

class Read(_message.Message):
    __slots__ = ("number", "keys")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    number: int
    keys: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, number: _Optional[int] = ..., keys: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ReadOK(_message.Message):
    __slots__ = ("number", "deps")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    DEPS_FIELD_NUMBER: _ClassVar[int]
    number: int
    deps: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, number: _Optional[int] = ..., deps: _Optional[_Iterable[int]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol", "version", "cluster", "replicas", "sender", "receiver", "introduction")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_FIELD_NUMBER: _ClassVar[int]
    INTRODUCTION_FIELD_NUMBER: _ClassVar[int]
    protocol: str
    version: int
    cluster: str
    replicas: int
    sender: int
    receiver: int
    introduction: Introduction
    def __init__(self, protocol: _Optional[str] = ..., version: _Optional[int] = ..., cluster: _Optional[str] = ..., replicas: _Optional[int] = ..., sender: _Optional[int] = ..., receiver: _Optional[int] = ..., introduction: _Optional[_Union[Introduction, _Mapping]] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("protocol", "accepted", "refusal", "introduction", "kind", "heard_written", "heard_process", "number")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    INTRODUCTION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    HEARD_WRITTEN_FIELD_NUMBER: _ClassVar[int]
    HEARD_PROCESS_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    protocol: str
    accepted: bool
    refusal: str
    introduction: Introduction
    kind: int
    heard_written: int
    heard_process: int
    number: int
    def __init__(self, protocol: _Optional[str] = ..., accepted: bool = ..., refusal: _Optional[str] = ..., introduction: _Optional[_Union[Introduction, _Mapping]] = ..., kind: _Optional[int] = ..., heard_written: _Optional[int] = ..., heard_process: _Optional[int] = ..., number: _Optional[int] = ...) -> None: ...

class Introduction(_message.Message):
    __slots__ = ("uid", "process", "uuid", "written", "unfounded", "wire", "joins", "address", "version")
    UID_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_FIELD_NUMBER: _ClassVar[int]
    UNFOUNDED_FIELD_NUMBER: _ClassVar[int]
    WIRE_FIELD_NUMBER: _ClassVar[int]
    JOINS_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    uid: int
    process: int
    uuid: bytes
    written: int
    unfounded: bool
    wire: int
    joins: bool
    address: str
    version: int
    def __init__(self, uid: _Optional[int] = ..., process: _Optional[int] = ..., uuid: _Optional[bytes] = ..., written: _Optional[int] = ..., unfounded: bool = ..., wire: _Optional[int] = ..., joins: bool = ..., address: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class Control(_message.Message):
    __slots__ = ("standing", "epoch_is", "state_ask", "state_offer", "piece_ask", "piece", "candidate", "written", "founded")
    STANDING_FIELD_NUMBER: _ClassVar[int]
    EPOCH_IS_FIELD_NUMBER: _ClassVar[int]
    STATE_ASK_FIELD_NUMBER: _ClassVar[int]
    STATE_OFFER_FIELD_NUMBER: _ClassVar[int]
    PIECE_ASK_FIELD_NUMBER: _ClassVar[int]
    PIECE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_FIELD_NUMBER: _ClassVar[int]
    FOUNDED_FIELD_NUMBER: _ClassVar[int]
    standing: Standing
    epoch_is: EpochIs
    state_ask: StateAsk
    state_offer: StateOffer
    piece_ask: PieceAsk
    piece: Piece
    candidate: Candidate
    written: Written
    founded: Founded
    def __init__(self, standing: _Optional[_Union[Standing, _Mapping]] = ..., epoch_is: _Optional[_Union[EpochIs, _Mapping]] = ..., state_ask: _Optional[_Union[StateAsk, _Mapping]] = ..., state_offer: _Optional[_Union[StateOffer, _Mapping]] = ..., piece_ask: _Optional[_Union[PieceAsk, _Mapping]] = ..., piece: _Optional[_Union[Piece, _Mapping]] = ..., candidate: _Optional[_Union[Candidate, _Mapping]] = ..., written: _Optional[_Union[Written, _Mapping]] = ..., founded: _Optional[_Union[Founded, _Mapping]] = ...) -> None: ...

class Standing(_message.Message):
    __slots__ = ("epoch", "installed", "asks")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    INSTALLED_FIELD_NUMBER: _ClassVar[int]
    ASKS_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    installed: int
    asks: bool
    def __init__(self, epoch: _Optional[int] = ..., installed: _Optional[int] = ..., asks: bool = ...) -> None: ...

class EpochIs(_message.Message):
    __slots__ = ("membership", "previous", "replica", "slot", "is_safe", "committed")
    MEMBERSHIP_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    IS_SAFE_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_FIELD_NUMBER: _ClassVar[int]
    membership: Membership
    previous: Membership
    replica: int
    slot: int
    is_safe: bool
    committed: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, membership: _Optional[_Union[Membership, _Mapping]] = ..., previous: _Optional[_Union[Membership, _Mapping]] = ..., replica: _Optional[int] = ..., slot: _Optional[int] = ..., is_safe: bool = ..., committed: _Optional[_Iterable[int]] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("number", "uid", "peer_connect", "client_connect", "status_connect", "behind")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    PEER_CONNECT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_CONNECT_FIELD_NUMBER: _ClassVar[int]
    STATUS_CONNECT_FIELD_NUMBER: _ClassVar[int]
    BEHIND_FIELD_NUMBER: _ClassVar[int]
    number: int
    uid: int
    peer_connect: str
    client_connect: str
    status_connect: str
    behind: int
    def __init__(self, number: _Optional[int] = ..., uid: _Optional[int] = ..., peer_connect: _Optional[str] = ..., client_connect: _Optional[str] = ..., status_connect: _Optional[str] = ..., behind: _Optional[int] = ...) -> None: ...

class StateAsk(_message.Message):
    __slots__ = ("beyond",)
    BEYOND_FIELD_NUMBER: _ClassVar[int]
    beyond: int
    def __init__(self, beyond: _Optional[int] = ...) -> None: ...

class StateOffer(_message.Message):
    __slots__ = ("membership", "previous", "replica", "slot", "executed", "beyond_replicas", "beyond_slots", "parts")
    MEMBERSHIP_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    EXECUTED_FIELD_NUMBER: _ClassVar[int]
    BEYOND_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    BEYOND_SLOTS_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    membership: Membership
    previous: Membership
    replica: int
    slot: int
    executed: _containers.RepeatedScalarFieldContainer[int]
    beyond_replicas: _containers.RepeatedScalarFieldContainer[int]
    beyond_slots: _containers.RepeatedScalarFieldContainer[int]
    parts: _containers.RepeatedCompositeFieldContainer[StatePart]
    def __init__(self, membership: _Optional[_Union[Membership, _Mapping]] = ..., previous: _Optional[_Union[Membership, _Mapping]] = ..., replica: _Optional[int] = ..., slot: _Optional[int] = ..., executed: _Optional[_Iterable[int]] = ..., beyond_replicas: _Optional[_Iterable[int]] = ..., beyond_slots: _Optional[_Iterable[int]] = ..., parts: _Optional[_Iterable[_Union[StatePart, _Mapping]]] = ...) -> None: ...

class StatePart(_message.Message):
    __slots__ = ("generation", "is_base", "length", "crc")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    IS_BASE_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    CRC_FIELD_NUMBER: _ClassVar[int]
    generation: int
    is_base: bool
    length: int
    crc: int
    def __init__(self, generation: _Optional[int] = ..., is_base: bool = ..., length: _Optional[int] = ..., crc: _Optional[int] = ...) -> None: ...

class PieceAsk(_message.Message):
    __slots__ = ("generation", "is_base", "offset", "size")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    IS_BASE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    generation: int
    is_base: bool
    offset: int
    size: int
    def __init__(self, generation: _Optional[int] = ..., is_base: bool = ..., offset: _Optional[int] = ..., size: _Optional[int] = ...) -> None: ...

class Piece(_message.Message):
    __slots__ = ("generation", "is_base", "offset", "data")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    IS_BASE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    generation: int
    is_base: bool
    offset: int
    data: bytes
    def __init__(self, generation: _Optional[int] = ..., is_base: bool = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class Written(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...

class Founded(_message.Message):
    __slots__ = ("membership",)
    MEMBERSHIP_FIELD_NUMBER: _ClassVar[int]
    membership: Membership
    def __init__(self, membership: _Optional[_Union[Membership, _Mapping]] = ...) -> None: ...
