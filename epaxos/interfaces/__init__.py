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
    NilArray,
    Outcome,
    Reply,
    ReplyByKey,
    ReplyMap,
    ReplyPairs,
    ReplySet,
    RunAgain,
    SimpleString,
    SubcommandInfo,
    Unavailable,
)
from epaxos.interfaces.executed import IExecuted, IObserver
from epaxos.interfaces.execution import IExecutor
from epaxos.interfaces.machine import (
    IComposites,
    ICountsByDatabase,
    ICountsKeys,
    IExpires,
    IReadsBefore,
    IReplays,
    IRestoresInParts,
    ISeesElements,
    IStateMachine,
    IStateMachineFactory,
    IStepwise,
    ITellsKeys,
    ITimed,
    IVersioned,
    Ready,
    Steps,
)
from epaxos.interfaces.store import (
    Checkpoint,
    EpochRecord,
    Identity,
    IStore,
    OutdatedError,
    Restored,
    StoreError,
    WriteSet,
    WrongDataError,
)
from epaxos.interfaces.time import IClusterClock, ITimeout, ITimeoutService
from epaxos.interfaces.transfer import IStateTransfer
from epaxos.interfaces.transport import ITransport
from epaxos.protocol.values.changes import Add, Change, Move, Nothing, Raise, Remove, Replace
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
    "IClusterClock",
    "IComposites",
    "ICountsByDatabase",
    "ICountsKeys",
    "IExecuted",
    "IExecutor",
    "IExpires",
    "IObserver",
    "IReadsBefore",
    "IReplays",
    "IRestoresInParts",
    "ISeesElements",
    "IStateMachine",
    "IStateMachineFactory",
    "IStateTransfer",
    "IStepwise",
    "IStore",
    "ITellsKeys",
    "ITimed",
    "ITimeout",
    "ITimeoutService",
    "ITransport",
    "IVersioned",
    "Identity",
    "Member",
    "Membership",
    "Move",
    "NilArray",
    "Nothing",
    "Outcome",
    "OutdatedError",
    "Raise",
    "Ready",
    "Refusal",
    "Remove",
    "Replace",
    "Reply",
    "ReplyByKey",
    "ReplyMap",
    "ReplyPairs",
    "ReplySet",
    "Restored",
    "RunAgain",
    "SimpleString",
    "Steps",
    "StoreError",
    "SubcommandInfo",
    "Unavailable",
    "WriteSet",
    "WrongDataError",
]
