"""The mutants: each breaks one rule of the protocol (docs: protocol/rules) in one place.

A new mutant needs a name, the rule that it breaks, and the change.  `make mutants` then has to catch it.
"""

from __future__ import annotations

from typing import Any

from epaxos.execution.conflicts import Conflicts, touches
from epaxos.execution.executor import Executor
from epaxos.execution.waiting import Component
from epaxos.node.applier import Applier
from epaxos.node.checkpoints import Checkpoints
from epaxos.node.closed_epoch import ClosedEpoch
from epaxos.node.disk_watch import DiskWatch
from epaxos.node.epochs import Epochs
from epaxos.node.in_flight import InFlight
from epaxos.node.journal import Journal
from epaxos.node.node import Node
from epaxos.node.reads import PendingRead, Reads
from epaxos.node.refusals import Refusals
from epaxos.node.transfers import Transfers
from epaxos.protocol.acceptor import Acceptor
from epaxos.protocol.admission import ADMISSION
from epaxos.protocol.coordinators import choice
from epaxos.protocol.coordinators.accept_round import AcceptRounds
from epaxos.protocol.coordinators.fast_path import judge_equal, judge_named
from epaxos.protocol.coordinators.proposal import Proposals
from epaxos.protocol.coordinators.recovery import Recoveries
from epaxos.protocol.coordinators.waiting import Waits
from epaxos.protocol.memory.interference import InterferenceIndex, _Generation, interferes
from epaxos.protocol.memory.slots import OwnSlots
from epaxos.protocol.memory.state import ReplicaState
from epaxos.protocol.memory.table import InstanceTable
from epaxos.protocol.replica import Replica
from epaxos.protocol.upkeep.catch_up import CatchUp
from epaxos.protocol.upkeep.forgetting import Forgetting
from epaxos.protocol.values.ids import is_in
from epaxos.protocol.values.instance import Instance
from epaxos.protocol.values.messages import (
    Accept,
    AcceptOK,
    Commit,
    PreAccept,
    PreAcceptOK,
    Recover,
    Validate,
)
from epaxos.protocol.values.quorums import Quorums
from epaxos.statemachines.once.envelope import encode_parts
from epaxos.statemachines.once.keys import take_sessions
from epaxos.statemachines.once.machine import _run
from epaxos.statemachines.once.sessions import Sessions
from epaxos.transfer.source import Source
from epaxos.transfer.target import Target
from epaxos.verify.mutants.channels import CHANNELS
from epaxos.verify.mutants.connections import CONNECTIONS
from epaxos.verify.mutants.expiry import EXPIRY
from epaxos.verify.mutants.members import MEMBERS
from epaxos.verify.mutants.mutation import Edit, Entry, Mutant
from epaxos.verify.mutants.transactions import TRANSACTIONS
from epaxos.verify.mutants.versions import VERSIONS
from epaxos.verify.simulation.contents import Contents
from epaxos.verify.simulation.incoming import Incoming
from epaxos.verify.simulation.state_transfer import VirtualTransfer

__all__ = ["MUTANTS"]


def _edit(
    name: str, rule: str, target: Any, old: str, new: str, n: int | None = None, profile: str = "recovery"
) -> Mutant:
    return Mutant(name, rule, (Edit(target, ((old, new),)),), n, profile)


def _at_any_ballot(name: str, rule: str, message: type) -> Mutant:
    broken = ADMISSION[message]._replace(ballot=lambda bal, ballot: True)
    return Mutant(name, rule, (Entry(ADMISSION, message, broken),), n=3, profile="schemes")


_QUORUMS = (
    _edit(
        "small fast quorum",
        "a fast quorum is n-e replicas",
        Quorums.fast,
        "self.n - self.e",
        "self.n - self.e - 1",
        n=5,
    ),
    _edit(
        "small slow quorum",
        "a slow quorum is n-f replicas",
        Quorums.slow,
        "self.n - self.f",
        "self.n - self.f - 1",
    ),
)

_COMMIT = (
    _edit(
        "unequal fast path",
        "the fast path needs answers that equal D0",
        judge_equal,
        "equal = sum(deps == init_deps for deps in answers.values())",
        "equal = len(answers)",
        n=5,
    ),
    _edit(
        "slow path with D0",
        "the slow path takes the max of all answers",
        Proposals._take_slow_path,
        "merge(proposal.answers.values())",
        "instance.init_deps",
    ),
    _edit(
        "vote adds nothing",
        "PreAccept: dep = max(D, interfering slots known here)",
        Acceptor.on_pre_accept,
        "merge((message.deps, state.index.deps_of(id, message.batch)))",
        "message.deps",
    ),
    _edit(
        "own row above the slot",
        "in id's own row only slots below its own count",
        InterferenceIndex.deps_of,
        "slots[own] = min(slots[own], id.slot - 1)",
        "pass",
    ),
    Mutant(
        "reads do not count",
        "a read interferes with the writes of its keys",
        (
            Edit(
                _Generation.interfering,
                (
                    (
                        """\
        (self._reads, batch.writes),
        (self._writes, batch.reads),
""",
                        "",
                    ),
                ),
            ),
            Edit(_Generation.writing, (("if index and", "if False and"),)),
        ),
    ),
    Mutant(
        "forgotten not named",
        "D0 and votes name what is forgotten",
        (
            Edit(
                Proposals.propose,
                (
                    (
                        "merge((state.table.floor, state.index.deps_of(id, batch)))",
                        "state.index.deps_of(id, batch)",
                    ),
                ),
            ),
            Edit(InterferenceIndex._with_every_key, (("map(max, found, self._forgotten)", "found"),)),
        ),
        n=5,
        profile="schemes",
    ),
    _at_any_ballot("PreAccept at any ballot", "PreAccept is taken while bal = 0", PreAccept),
    _at_any_ballot("Accept at any ballot", "Accept is taken while bal <= b", Accept),
    _at_any_ballot("votes after a promise", "PreAcceptOK counts while bal = 0", PreAcceptOK),
    Mutant(
        "votes of other ballots",
        "AcceptOK counts for the ballot that it names",
        (
            Edit(AcceptRounds.on_accept_ok, ((" or accept_round.ballot != message.ballot", ""),)),
            Entry(ADMISSION, AcceptOK, ADMISSION[AcceptOK]._replace(ballot=lambda bal, ballot: True)),
        ),
        n=5,
        profile="schemes",
    ),
    Mutant(
        "Commit refused",
        "Commit is taken at any ballot",
        (Entry(ADMISSION, Commit, ADMISSION[Commit]._replace(ballot=lambda bal, ballot: bal <= ballot)),),
    ),
)

_RECOVERY = (
    _edit(
        "one ballot variable",
        "bal and abal are two variables",
        Acceptor.on_recover,
        "instance.bal = message.ballot",
        "instance.bal = message.ballot\n"
        "            instance.abal = instance.abal if sender == state.id else message.ballot",
    ),
    _edit(
        "any accepted value",
        "recovery 2: of those with the highest abal",
        choice.choose,
        "answer.accepted_ballot == latest and ",
        "",
        n=3,
        profile="schemes",
    ),
    _at_any_ballot("Recover at any ballot", "Recover is answered while bal < b", Recover),
    _edit(
        "accepted value ignored",
        "recovery 2: an accepted value is proposed again",
        choice.choose,
        "if accepted is not None:",
        "if False:",
    ),
    _edit(
        "no rule 3",
        "recovery 3: the command leader in Q means NOP",
        choice.choose,
        "if id.replica in answers:",
        "if False:",
        n=5,
        profile="schemes",
    ),
    _edit(
        "|R| too high",
        "recovery 4: |R| >= |Q|-e",
        choice._choose_by_votes,
        "len(answers) - quorums.e and votes",
        "len(answers) - quorums.e + 1 and votes",
        n=5,
    ),
    _edit(
        "|R| of any answers",
        "recovery 4: R are those with dep = init_dep",
        choice._choose_by_votes,
        " and answer.deps == answer.init_deps",
        "",
        n=5,
    ),
    _edit(
        "no Validate",
        "recovery 4: the fast-path value is validated",
        choice._choose_by_votes,
        'AskToValidate("4", batch, deps, len(votes))',
        'Propose("4", batch, deps)',
        n=5,
    ),
    _edit(
        "Validate not remembered",
        "Validate: remember (c, D) as first proposed",
        Acceptor.on_validate,
        """\
        state.learn_value(instance, message.batch)
        instance.init_deps = message.deps
        state.save(instance)
""",
        "",
        n=5,
        profile="schemes",
    ),
    Mutant(
        "Validate after Accept",
        "Validate is taken while nothing is accepted",
        (Entry(ADMISSION, Validate, ADMISSION[Validate]._replace(phases=ADMISSION[Accept].phases)),),
        n=5,
        profile="schemes",
    ),
    _edit(
        "committed, yet by init_dep",
        "Validate: committed ones are judged by their dep",
        Acceptor._conflicts,
        "if committed else",
        "if False else",
        n=5,
    ),
    _edit(
        "uncommitted, yet by dep",
        "Validate: uncommitted ones are judged by their init_dep",
        Acceptor._conflicts,
        "(other.proposed, other.init_deps)",
        "(other.proposed, other.deps)",
        n=5,
    ),
    _edit(
        "latest only, in validation",
        "(q, s) is in D when s <= D[q]",
        is_in,
        "id.slot <= deps[id.replica]",
        "id.slot == deps[id.replica]",
        n=5,
    ),
    _edit(
        "validation 2 for any |R|",
        "validation 2: |R| = |Q|-e and a member's leader outside Q",
        choice.choose_after_validation,
        "validated.votes == len(answers) - quorums.e\n        and ",
        "",
        n=5,
    ),
    _edit(
        "validation 2 for any leader",
        "validation 2: |R| = |Q|-e and a member's leader outside Q",
        choice.choose_after_validation,
        "\n        and any(conflict.id.replica not in answers for conflict in conflicts)",
        "",
        n=5,
    ),
    _edit(
        "never waiting",
        "validation 3: wait until all members have committed",
        choice.choose_after_wait,
        "if Member.OPEN in members:",
        "if False:",
        n=5,
        profile="schemes",
    ),
    _edit(
        "NOP counts as conflict",
        "validation 3: a member that committed as NOP is no conflict",
        Waits.look_at,
        "other.cmd is not NOP and ",
        "",
        n=5,
    ),
    _edit(
        "Waiting for any |R|",
        "validation 3: Waiting(id', k) with k > n-f-e",
        Recoveries.on_waiting,
        "message.votes <= quorums.n - quorums.f - quorums.e",
        "False",
        n=5,
        profile="schemes",
    ),
    _edit(
        "Waiting, |R| off by one",
        "validation 3: Waiting(id', k) with k > n-f-e",
        Recoveries.on_waiting,
        "message.votes <= quorums.n",
        "message.votes < quorums.n",
        n=5,
        profile="schemes",
    ),
)

_NAMED = (
    _edit(
        "named anew",
        "when PreAccept is sent again, the named are the same",
        Proposals._ask_again,
        "instance.init_deps, instance.fast_quorum)",
        "instance.init_deps, self._name_fast_quorum())",
        n=3,
        profile="schemes",
    ),
    _edit(
        "fast path of any answers",
        "the fast path of a named quorum: all that were named",
        judge_named,
        "quorum = (leader, *named)",
        "quorum = (leader, *(replica for replica in answers if replica != leader))[: 1 + len(named)]",
        n=3,
    ),
    _edit(
        "fast path with D0",
        "a named quorum commits the max of its answers",
        judge_named,
        "merge(answers[replica] for replica in quorum)",
        "answers[leader]",
        n=3,
    ),
    _edit(
        "4n with D0",
        "recovery 4n: the max of the deps of the named",
        choice._choose_by_named,
        "merge(votes[replica].deps for replica in named)",
        "vote.init_deps",
        n=3,
    ),
)

_RESTARTS = (
    _edit(
        "early PreAcceptOK",
        "a promise leaves when it is durable: PreAcceptOK",
        Acceptor.on_pre_accept,
        "state.promise(sender, PreAcceptOK",
        "state.send(sender, PreAcceptOK",
        n=3,
        profile="schemes",
    ),
    _edit(
        "early AcceptOK",
        "a promise leaves when it is durable: AcceptOK",
        Acceptor.on_accept,
        "state.promise(sender, AcceptOK",
        "(state.promise if sender == state.id else state.send)(sender, AcceptOK",
        n=3,
        profile="schemes",
    ),
    _edit(
        "early own AcceptOK",
        "an own vote counts when it is durable",
        AcceptRounds.start,
        "self._deadlines.set(id, state.now + state.timing.resend_s)",
        "self._deadlines.set(id, state.now + state.timing.resend_s)\n"
        "    state.output.own_promises.pop()\n"
        "    self.on_accept_ok(state.id, AcceptOK(id, ballot))",
    ),
    _edit(
        "early RecoverOK",
        "a promise leaves when it is durable: RecoverOK",
        Acceptor.on_recover,
        "state.promise(sender, _what_is_known(instance))",
        "(state.promise if sender == state.id else state.send)(sender, _what_is_known(instance))",
        n=3,
        profile="schemes",
    ),
    _edit(
        "early ValidateOK",
        "a promise leaves when it is durable: ValidateOK",
        Acceptor.on_validate,
        "state.promise(sender, ValidateOK",
        "(state.promise if sender == state.id else state.send)(sender, ValidateOK",
        n=5,
        profile="schemes",
    ),
    _edit(
        "early Commit, repeated",
        "an answer that repeats a decision leaves when it is durable",
        ReplicaState.answer_commit,
        "self.promise(",
        "self.send(",
        n=3,
        profile="schemes",
    ),
    Mutant(
        "early fast path",
        "a fast-path decision is durable before anybody is told",
        (
            Edit(
                Proposals._commit_fast,
                (
                    ("initial_ballot, durably=True", "initial_ballot, durably=False"),
                    ("tell_commit(instance, durably=True", "tell_commit(instance, durably=False"),
                ),
            ),
        ),
    ),
    _edit(
        "early Recover",
        "a ballot is durable at its owner before anybody hears of it",
        Recoveries._start,
        "state.promise(replica, message)",
        "state.send(replica, message)",
        n=3,
        profile="schemes",
    ),
    _edit(
        "slot used again",
        "a slot is never used twice, also not after a crash",
        Replica.restore,
        "upto = max(reserved, highest[state.id])",
        "upto = highest[state.id]",
    ),
    Mutant(  # saves the proposal first: with a named fast quorum no record of it exists
        "on at ballot 0",
        "a restarted command leader does not go on at ballot 0",
        (
            Edit(
                Proposals.propose,
                (
                    (
                        "    self.on_pre_accept_ok(state.id",
                        "    state.save(state.table.get(id))\n        self.on_pre_accept_ok(state.id",
                    ),
                ),
            ),
            Edit(
                Replica.restore,
                (
                    (
                        "        if instance.phase is Phase.COMMITTED:\n",
                        """\
        if instance.id.replica == state.id and instance.phase is Phase.PREACCEPTED and not instance.bal:
            from epaxos.protocol.coordinators.proposal import Proposal

            self._proposals._proposals[instance.id] = Proposal(state.now, state.others)
            self._proposals._deadlines.set(instance.id, state.now)
            state.promise(state.id, PreAcceptOK(instance.id, instance.deps))
        if instance.phase is Phase.COMMITTED:
""",
                    ),
                ),
            ),
        ),
        n=3,
        profile="schemes",
    ),
    _edit(
        "forgotten slots not named",
        "a restarted replica names what it may have forgotten of its row",
        Replica.restore,
        "state.index.set_unknown(InstanceId(state.id, upto))",
        "pass",
        n=5,
        profile="schemes",
    ),
    _edit(
        "slot before its reservation",
        "slots are reserved durably ahead of use",
        OwnSlots.available,
        "self._durable",
        "self._requested",
        profile="chaos",
    ),
    _edit(
        "promise forgotten in a restart",
        "bal survives a restart",
        Instance.restore,
        "instance.bal = record.bal",
        "instance.bal = record.abal",
        n=3,
        profile="schemes",
    ),
    _edit(
        "first proposal forgotten in a restart",
        "init_dep survives a restart",
        Instance.restore,
        "instance.init_deps = record.init_deps",
        "pass",
        n=5,
        profile="schemes",
    ),
    _edit(
        "named forgotten in a restart",
        "who was named survives a restart",
        Instance.restore,
        "instance.fast_quorum = record.fast_quorum",
        "pass",
        n=3,
        profile="schemes",
    ),
    _edit(
        "known, yet not named after a restart",
        "what is known and interferes is named, also after a restart",
        Replica.restore,
        "state.index.add(instance.id, instance.proposed)",
        "pass",
    ),
    _edit(
        "run beyond, not in the checkpoint",
        "a checkpoint says exactly what was run",
        Checkpoints.take,
        "self._executor.executed_beyond()",
        "()",
    ),
    _edit(
        "checkpoint in two writes",
        "state and frontier are written in one step",
        Checkpoints._write,
        "self._store.write(WriteSet(checkpoint=checkpoint, sync=True, epoch=self._epoch), written)",
        """\
frontier = checkpoint._replace(batches=[], state=None)
    first = WriteSet(checkpoint=frontier, sync=True, epoch=self._epoch)
    second = WriteSet(checkpoint=checkpoint, sync=True, epoch=self._epoch)
    self._store.write(first, lambda: self._store.write(second, written))""",
    ),
)

_FORGETTING = (
    _edit(
        "own floor",
        "dropped is what every member has executed",
        Forgetting.forget,
        "tuple(map(min, *self._executed_at)) if state.n > 1 else self._executed_at[0]",
        "self._executed_at[state.id]",
    ),
    _edit(
        "floor falls with a restart",
        "the floor, what every member has executed, never falls",
        Forgetting.restore,
        "[state.table.floor] * state.n",
        "[no_deps(state.epoch)] * state.n",
        n=5,
        profile="schemes",
    ),
    _edit(
        "executed, not durably",
        "dropped is what every member has durably executed",
        Node._carry_out,
        "self._applier.work() and",
        "(self._applier.work() or self._core.on_executed(self._executor.executed)) and",
    ),
)

_EXECUTION = (
    _edit(
        "not grounded",
        "an instance runs when everything in its D is committed",
        Executor._ground,
        "if needed > mark:",
        "if False:",
    ),
    _edit(
        "latest only",
        "D names prefixes, not the latest of each row",
        Executor._ground,
        "if needed > mark:",
        "if needed > mark and InstanceId(row, needed) not in self._committed.beyond():",
    ),
    _edit(
        "edges not followed",
        "what interferes and is in D runs first",
        Executor._search,
        "edges = self._conflicts.edges(instance, executed)",
        "pass",
    ),
    _edit(
        "writer does not wait for readers",
        "what interferes and is in D runs first",
        Conflicts.edges,
        "found.update(index.readers_between(key, self._reader_floor(instance, key, row), bound))",
        "pass",
    ),
    _edit(
        "order of arrival",
        "inside a component by (slot, replica)",
        Component.finish,
        'sorted(self.members, key=attrgetter("rank"))',
        "list(self.members)",
        profile="chaos",
    ),
    _edit(
        "half a batch",
        "nobody sees a batch that is applied in part",
        Applier._go_on,
        "self._work = _Work(steps, done, applies, self._times.began)\n",
        """\
self._work = _Work(steps, done, applies, self._times.began)
                self._find_readable()
                while applies and self._reads.ready:
                    *_, replies = self._machine.read_in_steps(self._reads.next_commands())
                    self._reads.on_read(replies)
""",
        profile="chaos",
    ),
    _edit(
        "read before it is applied",
        "a read runs when all that it names is in the state",
        Applier._find_readable,
        "self.applied_up_to()",
        "self._executor.executed",
        profile="chaos",
    ),
    _edit(
        "checkpoint ahead of the state",
        "a checkpoint claims what is in the state",
        Applier.is_settled,
        "not (self._released or self._work)",
        "self._work is None",
    ),
    _edit(
        "proposed again too early",
        "commands are proposed again when their instance has become NOP",
        Refusals.refuse_overdue,
        'submission.answer(Unavailable(f"{text}; the command may still run", True))',
        "submission.deadline = now + timeout_s\n                self._intake.add(submission)",
    ),
)

_READS = (
    _edit(
        "read by itself",
        "a read asks as many as meet every slow quorum",
        Quorums.read,
        "self.n - self.slow + 1",
        "1",
        profile="chaos",
    ),
    _edit(
        "read before execution",
        "a read runs when all that it names is executed",
        PendingRead.is_ready,
        "self.deps is not None and all(map(le, self.deps, executed))",
        "self.deps is not None",
        profile="chaos",
    ),
)

_LIVENESS = (
    _edit(
        "fetches for ever",
        "a claim that cannot be fetched is recovered",
        CatchUp.look_after,
        "watch.in_vain = True",
        "pass",
        profile="staying",
    ),
    Mutant(
        "hung, and fetched for ever",
        "a replica whose disk does not answer is silent; its claims are recovered",
        (
            Edit(DiskWatch.look, (("self.waited_s(now) > self._patience_s", "False"),)),
            Edit(CatchUp.look_after, (("watch.in_vain = True", "pass"),)),
        ),
        profile="staying",
    ),
)

_TURNS = (
    Mutant(
        "R is no barrier",
        "T2: what opens the next epoch interferes with everything",
        (
            Edit(
                interferes,
                (
                    (
                        "a.barrier or b.barrier",
                        "(a.barrier or b.barrier) and not (a.successor or b.successor)",
                    ),
                ),
            ),
            Edit(_Generation.add, (("batch.barrier", "batch.barrier and batch.successor is None"),)),
            Edit(_Generation.interfering, (("batch.barrier", "batch.barrier and batch.successor is None"),)),
            Edit(touches, (("batch.barrier", "batch.barrier and batch.successor is None"),)),
        ),
        profile="turns",
    ),
    _edit(
        "results behind R",
        "T2: what is behind the end of the epoch has no effect",
        Applier.move,
        "self._released.clear()",
        "self._released.popleft()",
        profile="turns",
    ),
    _edit(
        "R ahead of its time",
        "T3: the next epoch begins with all that runs before R in the state",
        Applier._begin,
        "self._executor.run(EXECUTED_PER_TURN)",
        "sorted(self._executor.run(EXECUTED_PER_TURN), key=lambda one: one[1].successor is None)",
        profile="turns",
    ),
    _edit(
        "T3 in two writes",
        "T3: the epoch and the checkpoint at its beginning are written in one step",
        Node._on_end,
        "opening = WriteSet(checkpoint=start, sync=True, epoch=epoch.number, opened=record, backup=backup)",
        """\
self._store.write(WriteSet(epoch=epoch.number, opened=record), lambda: None)
    opening = WriteSet(checkpoint=start, sync=True, epoch=epoch.number)
""",
        profile="turns",
    ),
    _edit(
        "T3 without a sync",
        "T3: that an epoch is opened counts, here and at the others, when it is synced",
        Node._on_end,
        "sync=True",
        "sync=False",
        profile="turns",
    ),
    _edit(
        "opened, and not durable",
        "T3: that an epoch is opened is told when it is durable",
        Node._on_end,
        "self._store.write(opening, partial(self._on_opened, epoch.number))",
        "self._store.write(opening, partial(bool)); self._on_opened(epoch.number)",
        profile="turns",
    ),
    _edit(
        "old checkpoint counts",
        "T3: a checkpoint of an epoch that has ended says nothing of the present one",
        Checkpoints._on_written,
        "epoch == self._epoch",
        "True",
        profile="turns",
    ),
    _edit(
        "old promise counts",
        "T3: what becomes durable of an epoch that has ended counts nowhere",
        Journal._on_written,
        "epoch == self.epoch",
        "True",
        profile="turns",
    ),
    _edit(
        "void is lost",
        "T4: who proposed what is void proposes it again",
        InFlight.move,
        "self._again.extend((bundle, read) for _, _, bundle, read in begun)",
        "self._again.extend((bundle, read) for _, _, bundle, read in begun if read is not None)",
        profile="turns",
    ),
    Mutant(
        "proposed again, though it ran",
        "T4: only what is void is proposed again",
        (
            Edit(InFlight.on_applied, (("self._by_instance.pop(id, None)", "self._by_instance.get(id)"),)),
            Edit(InFlight._start_again, (("not bundle.wanted", "False"),)),
        ),
        profile="turns",
    ),
    _edit(
        "read kept over the turn",
        "T5: reads start again in the next epoch",
        Reads.start_again,
        """\
    number = bundle.read_number = self._core.read(tuple(read.keys))
    self.waiting[number] = (read, bundle)
""",
        "    self.ready.append((read, bundle))\n",
        profile="turns",
    ),
    _edit(
        "commits of k not served",
        "T6: who has closed an epoch answers with its commits",
        ClosedEpoch._commit,
        "found is None or found[0].phase is not Phase.COMMITTED",
        "True",
        profile="turns",
    ),
    _edit(
        "frames of any epoch",
        "T11: a frame counts in the epoch that it names",
        Node._on_messages,
        "epoch == self._following.number",
        "True",
        profile="turns",
    ),
)

_SLEEPERS = (
    _edit(
        "last checkpoint behind an installed state",
        "T8: nothing of the epoch that was left is written behind the state that was installed",
        Node._on_transport_stopped,
        "if was_running and not self._epochs.outside:",
        "if not self._epochs.outside:",
        profile="sleepers",
    ),
    _edit(
        "R told, and not held",
        "T6: who holds nothing of the epoch before names no R",
        Epochs._tell_epoch,
        "if record is not None and self._closed is not None:",
        "if record is not None:",
        profile="sleepers",
    ),
    _edit(
        "all held, after an installation",
        "T6: who came to an epoch by T8 does not answer for what ran there before",
        Epochs.end,
        "holds_all = claimed == core.table.committed",
        "claimed, holds_all = core.table.committed, True",
        n=3,
        profile="sleepers",
    ),
    _edit(
        "the state of the own epoch",
        "T8: who reaches the end of its epoch by itself takes no state any more",
        Transfers.on_opened,
        "if target.is_active:",
        "if False:",
        profile="sleepers",
    ),
    Mutant(
        "a state of no use",
        "T8: only the state of a later epoch is taken",
        (
            Edit(Source.on_state_ask, (("offer.membership.number > ask.beyond", "True"),)),
            Edit(Target.on_offer, (("offer.membership.number <= self._beyond", "False"),)),
            Edit(Target._is_of_use, (("offer.membership.number > self._beyond", "True"),)),
        ),
        profile="sleepers",
    ),
    _edit(
        "late frames of any epoch",
        "T11: a frame counts in the epoch that it names",
        Node._on_messages,
        "epoch == self._following.number",
        "epoch <= self._following.number",
        profile="sleepers",
    ),
    _edit(
        "installed in two writes",
        "T8: one write puts the state and the epoch there",
        VirtualTransfer.install,
        "self._write(_installation(offer, files), partial(self._on_installed, done))",
        """\
whole = _installation(offer, files)
        self._write(Installation(whole.opened, whole.executed, whole.beyond, None, ()), partial(bool))
        self._write(whole, partial(self._on_installed, done))
""",
        profile="sleepers",
    ),
    _edit(
        "floor and reservation carried over",
        "T8: an installed state has neither a reservation nor a floor",
        Contents._install,
        "self._open(installation.opened)",
        """\
floor, reserved = self.floor, self.reserved
    self._open(installation.opened)
    self.floor, self.reserved = floor, reserved
""",
        profile="sleepers",
    ),
    _edit(
        "installed is claimed",
        "T8: a row is claimed only as far as everything is held",
        InstanceTable.claimed,
        "committed if floor >= installed else floor",
        "committed",
        profile="sleepers",
    ),
    _edit(
        "not run, says who installs",
        "T4: who leaves an epoch by T8 tells its clients that their commands may have run",
        Refusals.refuse_all,
        'may still run", True',
        'may still run", "takes the state" not in text',
        profile="sleepers",
    ),
    Mutant(
        "pieces not checked",
        "T8: what is installed is byte for byte what the source has",
        (
            Edit(Incoming.take, (("not good.is_all", "False"),)),
            Edit(VirtualTransfer.install, (("!= (part.length, part.crc, part.length)", "is None"),)),
        ),
        profile="sleepers",
    ),
)

_ONCE = (
    _edit(
        "reply not kept",
        "Once: a reply is kept until it is acknowledged",
        Sessions.keep,
        "kept = {**before, number: encode_reply(reply) or _NOT_KEPT}",
        "kept = {**before}",
        profile="once",
    ),
    _edit(
        "session key not written",
        "Once: a numbered command writes the key of its session",
        encode_parts,
        "writes[key_of(session)] = None",
        "pass",
        profile="once",
    ),
    _edit(
        "run again after a restart",
        "Once: the sessions are a part of the state that is restored",
        take_sessions,
        "sessions.append((key[len(_SESSION) :], entries.pop(key)))",
        "entries.pop(key)",
        profile="once",
    ),
    _edit(
        "kept only where wanted",
        "Once: every replica keeps the reply, whoever waits for it",
        _run,
        "sessions.keep(session, number, answer)",
        "sessions.keep(session, number, answer) if ready.wanted else None",
        profile="once",
    ),
    _edit(
        "acknowledged too early",
        "Once: only what the client says is acknowledged",
        Sessions.answer,
        "passed, kept = max(session.passed, acked), session.kept",
        "acked = number - 1; passed, kept = max(session.passed, acked), session.kept",
        profile="once",
    ),
    _edit(
        "acknowledged and run again",
        "Once: what is acknowledged never runs again",
        Sessions.answer,
        "passed, kept = max(session.passed, acked), session.kept",
        "passed, kept = session.passed, session.kept",
        profile="once",
    ),
    _edit(
        "a session of its own accord",
        "Once: a numbered command never makes a session",
        Sessions.answer,
        "return [CommandError(NO_SESSION)]",
        "session = _Session(now_s, 0, 0, {})",
        profile="once",
    ),
)

MUTANTS: tuple[Mutant, ...] = (
    *_QUORUMS,
    *_COMMIT,
    *_RECOVERY,
    *_NAMED,
    *_RESTARTS,
    *_FORGETTING,
    *_EXECUTION,
    *_READS,
    *_LIVENESS,
    *_TURNS,
    *_SLEEPERS,
    *_ONCE,
    *CONNECTIONS,
    *CHANNELS,
    *MEMBERS,
    *EXPIRY,
    *TRANSACTIONS,
    *VERSIONS,
)
