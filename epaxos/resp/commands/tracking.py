"""CLIENT TRACKING and what belongs to it (docs: using/clients)."""

from __future__ import annotations

from collections.abc import Sequence

from epaxos.interfaces import Command, CommandError, Reply, ReplySet
from epaxos.interfaces.redis import NOT_AN_INTEGER, OK, integer_of
from epaxos.resp.commands.spec import SYNTAX, Subcommand, map_of, whole_text_of
from epaxos.resp.interfaces import IClient
from epaxos.resp.tracking.mode import Choice, Mode

__all__ = ["NOT_IN_MULTI", "SUBCOMMANDS"]

PREFIXES_MAX = 100
"""The most prefixes of one client, because each is compared with all others."""
PREFIX_BYTES_MAX = 256
"""The longest prefix, because each written key is looked up by all lengths that prefixes have."""
NOT_IN_MULTI = frozenset([b"TRACKING", b"CACHING"])
"""Subcommands that cannot be queued: what EXEC reads is noted before it runs."""

_NO_REDIRECT = CommandError(
    "ERR REDIRECT is not served: use RESP3 (HELLO 3), where invalidations come on the connection that reads"
)
_PREFIX_WITHOUT_BCAST = CommandError("ERR PREFIX option requires BCAST mode to be enabled")
_OTHER_BCAST = CommandError(
    "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling"
    " it with a different mode."
)
_CHOICE_WITH_BCAST = CommandError("ERR OPTIN and OPTOUT are not compatible with BCAST")
_BOTH_CHOICES = CommandError("ERR You can't specify both OPTIN mode and OPTOUT mode")
_OTHER_CHOICE = CommandError(
    "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling"
    " it with a different mode."
)
_NO_CHOICE = CommandError(
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode"
    " enabled"
)
_FLAGS = frozenset([b"BCAST", b"OPTIN", b"OPTOUT", b"NOLOOP"])


def _tracking(client: IClient, command: Command) -> Reply:
    flags: set[bytes] = set()
    prefixes: list[bytes] = []
    rest = list(command[:2:-1])  # the next option is the last element
    while rest:
        option = rest.pop().upper()
        if option == b"REDIRECT" and rest:
            return CommandError(NOT_AN_INTEGER) if integer_of(rest.pop()) is None else _NO_REDIRECT
        if option == b"PREFIX" and rest:
            prefixes.append(rest.pop())
        elif option in _FLAGS:
            flags.add(option)
        else:
            return SYNTAX
    how = command[2].upper()
    if how == b"ON":
        return _start(client, flags, prefixes)
    if how == b"OFF":
        client.server.tracking.stop(client)
        return OK
    return SYNTAX


def _start(client: IClient, flags: set[bytes], prefixes: Sequence[bytes]) -> Reply:
    now = client.session.tracking
    is_broadcast = b"BCAST" in flags
    if prefixes and not is_broadcast:
        return _PREFIX_WITHOUT_BCAST
    if now is not None and now.is_broadcast != is_broadcast:
        return _OTHER_BCAST
    choices = [each for each in Choice if each.value[0].upper().encode() in flags]
    if choices and is_broadcast:
        return _CHOICE_WITH_BCAST
    if len(choices) > 1:
        return _BOTH_CHOICES
    choice = choices[0] if choices else Choice.ALL
    if now is not None and Choice.ALL not in (choice, now.choice) and choice is not now.choice:
        return _OTHER_CHOICE
    held = () if now is None else now.prefixes
    wrong = _wrong_prefixes(held, prefixes)
    if wrong is not None:
        return wrong
    if is_broadcast and not prefixes:
        prefixes = [b""]
    all_prefixes = tuple(sorted({*held, *prefixes}))
    client.server.tracking.start(client, Mode(is_broadcast, choice, b"NOLOOP" in flags, all_prefixes))
    return OK


def _wrong_prefixes(held: Sequence[bytes], given: Sequence[bytes]) -> CommandError | None:
    if len(held) + len(given) > PREFIXES_MAX:
        return CommandError(f"ERR a client may have {PREFIXES_MAX} prefixes")
    for number, prefix in enumerate(given):
        if len(prefix) > PREFIX_BYTES_MAX:
            return CommandError(f"ERR a prefix may have {PREFIX_BYTES_MAX} bytes")
        for others, which in ((held, "an existing"), (given[number + 1 :], "another provided")):
            for other in others:
                if prefix.startswith(other) or other.startswith(prefix):
                    return CommandError(
                        f"ERR Prefix '{whole_text_of(prefix)}' overlaps with {which} prefix"
                        f" '{whole_text_of(other)}'. Prefixes for a single client must not overlap."
                    )
    return None


def _caching(client: IClient, command: Command) -> Reply:
    mode, word = client.session.tracking, command[2].upper()
    if mode is None:
        return _NO_CHOICE
    for choice in (Choice.OPT_IN, Choice.OPT_OUT):
        option, own_word = (text.upper() for text in choice.value)
        if word == own_word.encode():
            if mode.choice is not choice:
                return CommandError(
                    f"ERR CLIENT CACHING {own_word} is only valid when tracking is enabled in {option} mode."
                )
            mode.is_chosen = True
            return OK
    return SYNTAX


def _redirected_to(client: IClient) -> int:
    """As Redis shows that messages go to the connection itself."""
    return -1 if client.session.tracking is None else 0


def _getredir(client: IClient, command: Command) -> Reply:
    return _redirected_to(client)


def _trackinginfo(client: IClient, command: Command) -> Reply:
    mode = client.session.tracking
    flags = ["off"] if mode is None else mode.flags()
    return map_of(
        {
            b"flags": ReplySet(flag.encode() for flag in flags),
            b"redirect": _redirected_to(client),
            b"prefixes": [] if mode is None else list(mode.prefixes),
        }
    )


SUBCOMMANDS = {
    b"CACHING": Subcommand(_caching, 3, "YES|NO: whether the keys of the next command are tracked"),
    b"GETREDIR": Subcommand(_getredir, 2, "-1 where this connection does not track, or 0"),
    b"TRACKING": Subcommand(
        _tracking,
        -3,
        "ON|OFF [PREFIX prefix ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]: tell this connection, in RESP3, which"
        " keys that it has read are written",
    ),
    b"TRACKINGINFO": Subcommand(_trackinginfo, 2, "how this connection tracks"),
}
"""These subcommands of CLIENT, by their names."""
