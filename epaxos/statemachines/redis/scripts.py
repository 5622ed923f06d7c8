"""The commands of scripts: EVAL and its kin, SCRIPT.

A script is a command that writes the keys that it declares.  One that touches another key is taken back, its
SHA is remembered, and it runs again as a barrier (docs: using/scripts).  The table of scripts is a part of
the state, and SCRIPTS_NAME is its name: so whether a SHA is known has one answer at each place in the order.

A replica changes what it proposes by what it knows (`proposed`): a text that the table has does not travel
again, and a script that is known for keys that it does not declare is a barrier at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from epaxos.interfaces import Command, CommandError, Reply, SubcommandInfo
from epaxos.interfaces.memory import OOM
from epaxos.interfaces.redis import NOT_AN_INTEGER, OK, integer_of, text_of, wrong_arity
from epaxos.interfaces.users import AS
from epaxos.scripts.engine import Script
from epaxos.scripts.limits import TEXT_BYTES_MAX
from epaxos.scripts.shebang import body_of
from epaxos.statemachines.redis.moment import Everything
from epaxos.statemachines.redis.names import SCRIPTS_NAME
from epaxos.statemachines.redis.rights import rights_of
from epaxos.statemachines.redis.script_calls import Caller, Undeclared, declared_names
from epaxos.statemachines.redis.script_table import HELP, ScriptTable, sha_of
from epaxos.statemachines.redis.space import Again, Due, Space
from epaxos.statemachines.redis.spec import CommandSpec, Found, Keys, Piecewise, Touched
from epaxos.statemachines.redis.transactions import with_commands

__all__ = ["RESOLVED", "commands_for", "proposed"]

BY_TEXT, BY_SHA = (b"EVAL", b"EVAL_RO"), (b"EVALSHA", b"EVALSHA_RO")
READS = (b"EVAL_RO", b"EVALSHA_RO")
COMPOSED = (b"\0EXEC", b"\0IN")
RESOLVED = frozenset((*BY_TEXT, *BY_SHA, *COMPOSED, AS))
"""The commands that go into a batch in another form: scripts, and what may hold one."""

_KEEP, _KNOWN, _ALL, _UNDECLARED = b"\0EVAL", b"\0EVALSHA", b"\0ALL", b"\0UNDECLARED"
"""Run a script and take it into the table; run one that the table has; a barrier; a script touches more keys.
The first two have the client's name of the command behind their own."""

_FULL = b"\0FULL"
"""Before a script whose leader has no memory to spare: `maxmemory`."""
_REFUSED = b"\0REFUSED"
"""In the place of a script whose leader refuses it: what the others would do does not matter then."""

NO_SCRIPT = "NOSCRIPT No matching script. Please use EVAL."
UNDECLARED_KEY = "ERR Script attempted to access a key that it did not declare"
FULL = "ERR the table of scripts is full: SCRIPT FLUSH empties it"
NOT_BUSY = "NOTBUSY No scripts in execution right now."
SEEN_MAX = 10_000


# -- what a replica proposes


def proposed(commands: Sequence[Command], scripts: ScriptTable, is_full: bool = False) -> Sequence[Command]:
    """The commands, some of them RESOLVED, as they go into a batch.  `is_full`: scripts may not add to what
    is held."""
    if is_full:
        return [_proposed_full(command, scripts) for command in commands]
    return [_proposed(command, scripts) for command in commands]


def _proposed_full(command: Command, scripts: ScriptTable) -> Command:
    if command[0].upper() in COMPOSED:
        return with_commands(command, lambda inner: _as_full(inner, _as_barrier(inner, scripts)))
    return _as_full(command, _proposed(command, scripts))


def _as_full(command: Command, found: Command) -> Command:
    is_script = command[0].upper() in (*BY_TEXT, *BY_SHA, AS) and found[0] != _REFUSED
    return [_FULL, *found] if is_script else found


def _proposed(command: Command, scripts: ScriptTable) -> Command:
    name = command[0].upper()
    if name in COMPOSED:
        if name == COMPOSED[0] and not (scripts.undeclared or scripts.seen_undeclared):
            return command
        return with_commands(command, lambda inner: _as_barrier(inner, scripts))
    if name == AS:
        return _with_rights(command, _proposed(command[2:], scripts))
    found = _as_barrier(command, scripts)
    if found is not command or name not in BY_TEXT:
        return found
    sha = sha_of(command[1])
    if sha in scripts.texts:
        return [_KNOWN, name, sha, *command[2:]]
    return [_KEEP, name, *command[1:]] if scripts.has_room(command[1]) else command


def _as_barrier(command: Command, scripts: ScriptTable) -> Command:
    name = command[0].upper()
    if name == AS:
        return _with_rights(command, _as_barrier(command[2:], scripts))
    if name not in (*BY_TEXT, *BY_SHA):
        return command
    sha = sha_of(command[1]) if name in BY_TEXT else command[1].lower()
    if not scripts.is_barrier(sha):
        return command
    return [_REFUSED] if scripts.is_refusing else [_ALL, *command]


def _with_rights(command: Command, found: Command) -> Command:
    return found if found[0] == _REFUSED else [*command[:2], *found]


# -- what is wrong whatever the state is


def _check_eval(command: Command) -> None:
    count = integer_of(command[2])
    if count is None:
        raise CommandError(NOT_AN_INTEGER)
    if count > len(command) - 3:
        raise CommandError("ERR Number of keys can't be greater than number of args")
    if count < 0:
        raise CommandError("ERR Number of keys can't be negative")
    if len(command[1]) > TEXT_BYTES_MAX:
        raise CommandError(f"ERR a script may have {TEXT_BYTES_MAX} bytes")


def _check_inner_eval(command: Command) -> None:
    _check_eval(command[1:])


SUBCOMMANDS = {b"LOAD": (3, 3), b"EXISTS": (3, 1_000_000), b"FLUSH": (2, 3), b"KILL": (2, 2), b"HELP": (2, 2)}
"""With how many elements they have at least and at most, the name included."""


def _check_script(command: Command) -> None:
    name = command[1].upper()
    if name not in SUBCOMMANDS:
        raise CommandError(f"ERR unknown subcommand '{text_of(command[1])}'. Try SCRIPT HELP.")
    least, most = SUBCOMMANDS[name]
    if name == b"FLUSH" and (
        len(command) > 3 or (len(command) == 3 and command[2].upper() not in (b"SYNC", b"ASYNC"))
    ):
        raise CommandError("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
    if not least <= len(command) <= most:
        raise wrong_arity(f"script|{name.decode().lower()}")
    if name == b"KILL":
        raise CommandError(NOT_BUSY)


# -- what they touch


def _keys(command: Command) -> Sequence[bytes]:
    """The declared keys of EVAL and its kin."""
    return command[3 : 3 + int(command[2])]


def _find_eval(command: Command) -> Touched:
    keys = _keys(command)
    if command[0].upper() in READS or (command[0].upper() == b"EVAL" and _reads_only(command[1])):
        return Touched((), keys)
    return Touched(keys)


def _find_evalsha(command: Command) -> Touched:
    keys = _keys(command)
    if command[0].upper() in READS:
        return Touched((), (*keys, SCRIPTS_NAME))
    return Touched(keys, (SCRIPTS_NAME,))


def _find_keep(command: Command) -> Touched:
    return Touched((*_keys(command[1:]), SCRIPTS_NAME))


def _find_known(command: Command) -> Touched:
    return _find_evalsha((b"EVALSHA_RO" if command[1] in READS else b"EVALSHA", *command[2:]))


def _find_all(command: Command) -> Touched:
    return Touched(barrier=True)


def _find_table(command: Command) -> Touched:
    return Touched((SCRIPTS_NAME,))


def _find_script(command: Command) -> Touched:
    name = command[1].upper()
    if name in (b"LOAD", b"FLUSH"):
        return Touched((SCRIPTS_NAME,))
    return Touched((), (SCRIPTS_NAME,)) if name == b"EXISTS" else Touched()


# -- what they do


def _reads_only(text: bytes) -> bool:
    if text[:2] != b"#!":
        return False
    try:
        return body_of(text).reads_only
    except CommandError:
        return False


def _is_bounded(text: bytes) -> bool:
    """Whether the script does not say that it may run without memory to spare."""
    try:
        return not body_of(text).allows_oom
    except CommandError:
        return True


def _script(space: Space, command: Command) -> Reply:
    scripts, name = space.everything.scripts, command[1].upper()
    if name == b"EXISTS":
        return [int(sha.lower() in scripts.texts) for sha in command[2:]]
    if name == b"FLUSH":
        scripts.clear()
        return OK
    if name == b"LOAD":
        scripts.engine.check(command[2])
        if not scripts.add(command[2]):
            raise CommandError(FULL)
        return sha_of(command[2])
    return [line.encode() for line in HELP]


def _undeclared(space: Space, command: Command) -> Reply:
    space.everything.scripts.note_undeclared(command[1])
    return OK


def _refuse(space: Space, command: Command) -> Reply:
    raise CommandError(UNDECLARED_KEY)


def _at_once(pieces: Piecewise) -> Found:
    while True:
        try:
            next(pieces)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


def commands_for(table: Callable[[], dict[bytes, CommandSpec]]) -> tuple[CommandSpec, ...]:
    """The commands of scripts, which call those of `table()`."""

    def run(space: Space, text: bytes, sha: bytes, command: Command) -> Piecewise:
        """Run a script; `command`: the name of the client's command, then as EVAL."""
        everything, moment = space.everything, space.moment
        scripts, keys = everything.scripts, _keys(command)
        is_barrier = isinstance(moment.writes, Everything)
        declared = None if is_barrier else declared_names(space.database, keys)
        reads_only = command[0].upper() in READS or _reads_only(text)
        is_full = moment.is_full and _is_bounded(text)
        if is_full and not reads_only and text[:2] == b"#!":
            raise CommandError(OOM)
        access = rights_of(moment.rights, table()) if moment.rights else None
        caller = Caller(space, declared, reads_only, is_full, access)
        script = Script(text, sha.decode(), keys, command[3 + len(keys) :], moment.draw(2**48))
        savepoint, place = everything.savepoint(), moment.place()

        def undo() -> None:
            everything.back_to(savepoint)
            moment.go_back(place)
            caller.restart(space)

        try:
            reply, failed = yield from scripts.engine.run_in_steps(script, caller, undo)
            if failed:
                undo()
            return reply
        except Undeclared:
            undo()
            if len(scripts.seen_undeclared) > SEEN_MAX:
                scripts.seen_undeclared.clear()
            scripts.seen_undeclared.add(sha)
            raise Again((_UNDECLARED, sha)) from None
        except Due:
            undo()
            raise
        finally:
            everything.release(savepoint)

    def eval_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
        return run(space, command[1], sha_of(command[1]), command)

    def evalsha_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
        sha = command[1].lower()
        text = space.everything.scripts.texts.get(sha)
        if text is None:
            raise CommandError(NO_SCRIPT)
        return (yield from run(space, text, sha, command))

    def keep_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
        scripts = space.everything.scripts
        scripts.engine.check(command[2])
        scripts.add(command[2])
        return (yield from eval_in_pieces(space, command[1:], size))

    def known_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
        if command[2] not in space.everything.scripts.texts:
            raise Again((b"\0NOTHING",))  # it was flushed meanwhile: the client's command has the text
        return (yield from evalsha_in_pieces(space, command[1:], size))

    def all_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
        inner = table()[command[1].upper()].in_pieces
        assert inner is not None
        return (yield from inner(space, command[1:], size))

    def full_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
        inner = table()[command[1].upper()].in_pieces
        assert inner is not None
        space.moment.is_full = True
        try:
            return (yield from inner(space, command[1:], size))
        finally:
            space.moment.is_full = False

    def check_full(command: Command) -> None:
        if command[1].upper() not in (*BY_TEXT, *BY_SHA, _KEEP, _KNOWN, _ALL, AS):
            raise CommandError(f"{command[1]!r} without memory")
        check = table()[command[1].upper()].check
        assert check is not None
        check(command[1:])

    def find_full(command: Command) -> Touched:
        return table()[command[1].upper()].touched(command[1:])

    def check_all(command: Command) -> None:
        if command[1].upper() not in (*BY_TEXT, *BY_SHA) or len(command) < 4:
            raise CommandError(f"{command[1]!r} as a barrier")
        _check_inner_eval(command)

    def spec_of(
        name: bytes,
        in_pieces: Callable[[Space, Command, int], Piecewise],
        find: Callable[[Command], Touched],
        check: Callable[[Command], None],
        usage: str = "",
        summary: str = "",
        barrier: bool = False,
    ) -> CommandSpec:
        is_read = name in READS
        return CommandSpec(
            name, lambda space, command: _at_once(in_pieces(space, command, 1)),
            -3 if name in (*BY_TEXT, *BY_SHA) else -4, Keys.NONE, not is_read, barrier,
            usage, summary, flags=("noscript", "stale", "skip_monitor", "no_mandatory_keys", "movablekeys"),
            categories=("scripting",), complexity="Depends on the script that is executed.", check=check,
            find=find, in_pieces=in_pieces, takes_seed=True, is_long=lambda command: True,
        )  # fmt: skip

    return (
        spec_of(
            b"EVAL", eval_in_pieces, _find_eval, _check_eval,
            "EVAL script numkeys [key …] [argument …]", "run a Lua script, which is one command",
        ),
        spec_of(
            b"EVAL_RO", eval_in_pieces, _find_eval, _check_eval,
            "EVAL_RO script numkeys [key …] [argument …]", "run a Lua script that only reads",
        ),
        spec_of(
            b"EVALSHA", evalsha_in_pieces, _find_evalsha, _check_eval,
            "EVALSHA sha1 numkeys [key …] [argument …]", "run a Lua script of the table",
        ),
        spec_of(
            b"EVALSHA_RO", evalsha_in_pieces, _find_evalsha, _check_eval,
            "EVALSHA_RO sha1 numkeys [key …] [argument …]", "run a Lua script of the table that only reads",
        ),
        spec_of(_KEEP, keep_in_pieces, _find_keep, _check_inner_eval),
        spec_of(_KNOWN, known_in_pieces, _find_known, _check_inner_eval),
        spec_of(_ALL, all_in_pieces, _find_all, check_all, barrier=True),
        spec_of(_FULL, full_in_pieces, find_full, check_full),
        CommandSpec(_UNDECLARED, _undeclared, 2, Keys.NONE, True, find=_find_table),
        CommandSpec(_REFUSED, _refuse, 1, Keys.NONE, False, find=lambda command: Touched()),
        CommandSpec(
            b"\0NOTHING", lambda space, command: OK, 1, Keys.NONE, True, find=_find_table,
        ),
        CommandSpec(
            b"SCRIPT", _script, -2, Keys.NONE, True, False, "SCRIPT LOAD|EXISTS|FLUSH|KILL|HELP …",
            "the table of scripts, which is a part of the state", flags=("noscript",),
            categories=("scripting",), complexity="O(N)", check=_check_script, find=_find_script,
            subcommands=tuple(
                SubcommandInfo(f"script|{name}", arity, 0, flags, ("scripting",))
                for name, arity, flags in (
                    ("exists", -3, ("noscript",)), ("flush", -2, ("noscript",)),
                    ("help", 2, ("loading", "stale")), ("kill", 2, ("noscript", "allow_busy")),
                    ("load", 3, ("noscript", "stale")),
                )
            ),
        ),
    )  # fmt: skip
