"""The contracts between the rooms of a replica, and the values that cross them.

Only `service/assembly.py`, and the simulator for its own replicas, names the classes that keep them.
Plugins import from here: `from epaxos.interfaces import IStateMachine`.
"""

from epaxos.interfaces.backup import IBackups
from epaxos.interfaces.clients import IClients, Refusal
from epaxos.interfaces.commands import (
    Command,
    CommandError,
    CommandInfo,
    Outcome,
    Reply,
    SimpleString,
    Unavailable,
)
from epaxos.interfaces.execution import IExecutor
from epaxos.interfaces.machine import (
    ICountsKeys,
    IReplays,
    IRestoresInParts,
    IStateMachine,
    IStateMachineFactory,
    IStepwise,
    Ready,
    Steps,
)
from epaxos.interfaces.store import (
    Checkpoint,
    EpochRecord,
    Identity,
    IStore,
    Restored,
    StoreError,
    WriteSet,
    WrongDataError,
)
from epaxos.interfaces.time import ITimeout, ITimeoutService
from epaxos.interfaces.transfer import IStateTransfer
from epaxos.interfaces.transport import ITransport
from epaxos.protocol.values.changes import Add, Change, Move, Nothing, Remove, Replace
from epaxos.protocol.values.control import Candidate
from epaxos.protocol.values.membership import Member, Membership
from epaxos.protocol.values.messages import Batch

__all__ = [
    "Add",
    "Batch",
    "Candidate",
    "Change",
    "Checkpoint",
    "Command",
    "CommandError",
    "CommandInfo",
    "EpochRecord",
    "IBackups",
    "IClients",
    "ICountsKeys",
    "IExecutor",
    "IReplays",
    "IRestoresInParts",
    "IStateMachine",
    "IStateMachineFactory",
    "IStateTransfer",
    "IStepwise",
    "IStore",
    "ITimeout",
    "ITimeoutService",
    "ITransport",
    "Identity",
    "Member",
    "Membership",
    "Move",
    "Nothing",
    "Outcome",
    "Ready",
    "Refusal",
    "Remove",
    "Replace",
    "Reply",
    "Restored",
    "SimpleString",
    "Steps",
    "StoreError",
    "Unavailable",
    "WriteSet",
    "WrongDataError",
]
