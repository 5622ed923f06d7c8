"""Random sequences of commands, and what may differ between what we and a real Redis answer to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

__all__ = ["MEANT", "Meant", "Session", "difference", "session", "skips_nothing"]

KEYS = [b"a", b"b", b"n", b"long", b"", b"\0\xff", b"k\r\n", b"{k}"]
LISTS = [b"l", b"m", b"l", b"m", b"n"]
COUNTS = [b"0", b"1", b"2", b"-1", b"x", b"100"]
SIDES = [b"LEFT", b"RIGHT", b"left", b"x"]
VALUES = [
    b"", b"1", b"-5", b"07", b" 1", b"1.5", b"x", b"9223372036854775807", b"-9223372036854775808",
    b"9223372036854775808", b"\0\r\n\xff", b"y" * 200, b"*1\r\n", b"$3\r\nGET",
]  # fmt: skip
NUMBERS = [b"0", b"1", b"-1", b"2", b"3", b"00", b"01", b"-0", b"+1", b"4", b"", b"x", b" 0", b"1e3",
    b"2147483648", b"-2147483649", b"9223372036854775807", b"9223372036854775808", b"9" * 30]  # fmt: skip
GLOBS = [
    b"*", b"max*", b"MAX*", b"maxclients", b"MaxClients", b"save", b"s?ve", b"sav[a-f]", b"[^m]*", b"[!s]ave",
    b"[s", b"[]ave", b"s[^a-c]ve", b"s[c-a]ve", b"s[A-B]VE", b"s\\ave", b"[\\s]ave", b"sav\\*", b"*m*m*",
    b"**",
    b"?*", b"", b"nope", b"nope*", b"time[a-z]ut", b"save\\", b"data[b]ases*", b"[s-", b"[s-s]ave", b"*[e]",
    b"*[-e]", b"*[e-]", b"*[\\]e]", b"[^]*", b"maxmemory", b"maxmemory-policy", b"*-*-*", b"d*b*", b"\xff*",
    b"databases", b"timeout",
]  # fmt: skip
SECTIONS = [b"server", b"Clients", b"memory", b"PERSISTENCE", b"stats", b"replication", b"cpu", b"cluster",
    b"keyspace", b"all", b"default", b"everything", b"nope", b"", b"commandstats"]  # fmt: skip
TEXTS = [b"", b"x", b"a b", b"\xff\xfe", b"\r\n", b"a\0b", b"me", b"z" * 127, b"z" * 128, b"z" * 129,
    b"z" * 300,
    "\u00e9".encode() * 70, b"'", b'"']  # fmt: skip
CASES = (bytes.upper, bytes.lower, bytes.title, bytes.swapcase)


class _Shape(NamedTuple):
    words: Sequence[bytes]
    arguments: Sequence[Sequence[bytes]] = ()
    more: Sequence[bytes] = ()
    """The values of any number of further arguments."""


_S = _Shape
DATA = [
    _S([b"GET"], [KEYS]), _S([b"SET"], [KEYS, VALUES], [b"NX", b"XX", b"GET", b"nx", b"y"]),
    _S([b"SETNX"], [KEYS, VALUES]), _S([b"GETSET"], [KEYS, VALUES]), _S([b"GETDEL"], [KEYS]),
    _S([b"DEL"], [KEYS], KEYS), _S([b"EXISTS"], [KEYS], KEYS), _S([b"MGET"], [KEYS], KEYS),
    _S([b"MSET"], [KEYS, VALUES], KEYS), _S([b"MSETNX"], [KEYS, VALUES], KEYS),
    _S([b"APPEND"], [KEYS, VALUES]),
    _S([b"STRLEN"], [KEYS]), _S([b"INCR"], [KEYS]), _S([b"DECR"], [KEYS]), _S([b"INCRBY"], [KEYS, NUMBERS]),
    _S([b"DECRBY"], [KEYS, NUMBERS]), _S([b"DBSIZE"]), _S([b"TYPE"], [KEYS]),
    _S([b"LPUSH"], [LISTS, VALUES], VALUES), _S([b"RPUSH"], [LISTS, VALUES], VALUES),
    _S([b"LPOP"], [LISTS], COUNTS), _S([b"RPOP"], [LISTS], COUNTS), _S([b"LLEN"], [LISTS]),
    _S([b"LRANGE"], [LISTS, NUMBERS, NUMBERS]), _S([b"LINDEX"], [LISTS, NUMBERS]),
    _S([b"LMPOP"], [COUNTS, LISTS, [b"LEFT", b"right"]]), _S([b"LMOVE"], [LISTS, LISTS, SIDES, SIDES]),
    _S([b"LMPOP", b"2"], [LISTS, LISTS, SIDES, [b"COUNT"], COUNTS]), _S([b"RPOPLPUSH"], [LISTS, LISTS]),
    _S([b"LPOS"], [LISTS, VALUES], [b"RANK", b"COUNT", b"1", b"0", b"-1"]),
    _S([b"LREM"], [LISTS, COUNTS, VALUES]),
    _S([b"LSET"], [LISTS, COUNTS, VALUES]), _S([b"LTRIM"], [LISTS, COUNTS, COUNTS]),
    _S([b"LINSERT"], [LISTS, [b"BEFORE", b"after", b"x"], VALUES, VALUES]),
    _S([b"SORT"], [LISTS], [b"ALPHA", b"DESC", b"LIMIT", b"0", b"2", b"BY", b"nosort", b"GET", b"#"]),
    _S([b"SORT_RO"], [LISTS, [b"ALPHA"]], [b"GET", b"n*"]),
    _S([b"FLUSHDB"], [], [b"ASYNC", b"sync", b"x"]), _S([b"FLUSHALL"], [], [b"ASYNC", b"sync", b"x"]),
]  # fmt: skip
CONNECTION = [
    _S([b"PING"], [], TEXTS), _S([b"ECHO"], [TEXTS]), _S([b"SELECT"], [NUMBERS]),
    _S([b"AUTH"], [[b"default", b"DEFAULT", b"x"]], TEXTS), _S([b"AUTH", b"default"], [TEXTS]),
    _S([b"HELLO"], [], NUMBERS), _S([b"HELLO"], [[b"2", b"3"]]),
    _S([b"HELLO"], [[b"2", b"3"], [b"SETNAME"], TEXTS]),
    _S([b"HELLO"], [[b"2", b"3"], [b"AUTH"], [b"default", b"x"], TEXTS], [b"SETNAME", b"me", b"AUTH", b"x"]),
    _S([b"HELLO"], [[b"2", b"3"], TEXTS]), _S([b"RESET"]), _S([b"CLIENT", b"ID"]),
    _S([b"CLIENT", b"GETNAME"]),
    _S([b"CLIENT", b"SETNAME"], [TEXTS]), _S([b"CLIENT", b"INFO"]), _S([b"CLIENT", b"LIST"]),
    _S([b"CLIENT", b"LIST", b"ID"], [NUMBERS], NUMBERS),
    _S([b"CLIENT", b"LIST", b"TYPE"], [[b"normal", b"Pubsub", b"master", b"replica", b"slave", b"x"]]),
    _S([b"CLIENT", b"LIST"], [TEXTS], TEXTS), _S([b"CLIENT", b"NO-EVICT"], [[b"on", b"OFF", b"x"]]),
    _S([b"CLIENT", b"REPLY"], [[b"ON", b"on", b"skip", b"SKIP", b"x"]]), _S([b"CLIENT", b"REPLY", b"OFF"]),
    _S([b"CLIENT", b"TRACKINGINFO"]), _S([b"CLIENT", b"GETREDIR"]),
    _S([b"CLIENT", b"CACHING"], [[b"yes", b"NO", b"x"]]),
    _S([b"CLIENT", b"TRACKING"], [[b"off", b"x"]], [b"BCAST", b"optin", b"OPTOUT", b"NOLOOP", b"PREFIX"]),
    _S([b"CLIENT"], [TEXTS], TEXTS), _S([b"CONFIG"], [TEXTS], TEXTS), _S([b"COMMAND"], [TEXTS], TEXTS),
    _S([b"CONFIG", b"GET"], [GLOBS], GLOBS), _S([b"CONFIG", b"RESETSTAT"]), _S([b"CONFIG", b"SET"], [[b"a"]]),
    _S([b"INFO"], [], SECTIONS), _S([b"COMMAND"]), _S([b"COMMAND", b"INFO"], [[b"nope"]]),
    _S([b"COMMAND", b"LIST", b"FILTERBY", b"PATTERN"], [[b"dbsiz?", b"APPEND", b"nope*", b"[e]cho"]]),
    _S([b"COMMAND", b"LIST", b"FILTERBY"], [[b"MODULE", b"x"], [b"x"]]), _S([b"COMMAND", b"LIST"], [[b"x"]]),
    _S([b"PUBLISH"], [KEYS, VALUES]), _S([b"SPUBLISH"], [KEYS, VALUES]), _S([b"PUBSUB", b"NUMSUB"], [], KEYS),
    _S([b"PUBSUB", b"CHANNELS"], [], GLOBS), _S([b"PUBSUB", b"NUMPAT"]), _S([b"PUBSUB"], [TEXTS], TEXTS),
    _S([b"UNSUBSCRIBE"], [], KEYS), _S([b"PUNSUBSCRIBE"], [], KEYS), _S([b"SUNSUBSCRIBE"], [], KEYS),
    _S([b"COMMAND", b"COUNT"], [[b"x"]]), _S([b"EXEC"]), _S([b"DISCARD"]), _S([b"MULTI"], [TEXTS]),
]  # fmt: skip
ENDS = [_S([b"QUIT"], [], TEXTS), _S([b"POST"], [], [b"/"]), _S([b"HOST:"], [], [b"x"])]
UNKNOWN = [
    _S([name], [], TEXTS) for name in (b"NOPE", b"", b"\xff", b"GETX", b"p" * 130, b"a\r\nb", b"MULTIX")
]
ODD = [
    b"*1\r\n", b"*0\r\n", b"*-1\r\n", b"*-0\r\n", b"*01\r\n", b"*+1\r\n", b"*1\n", b"*1\rX", b"*\r\n",
    b"* 1\r\n",
    b"*99999999999999999999\r\n", b"*2147483648\r\n", b"$4\r\nPING\r\n", b"$04\r\n", b"$+4\r\n", b"$4\n",
    b"$-1\r\n",
    b"$\r\n", b"$16000001\r\n", b"$99999999999\r\n", b":5\r\n", b"\n", b"\r\n", b"\r", b" \r\n", b"PING\n",
    b"PING \v\f x\r\n", b"PI\0NG\r\n", b'ECHO "a\\x41\\n\\"b"\r\n', b"ECHO 'a\\'b\\n'\r\n", b'ECHO "a\r\n',
    b"ECHO a\"b\"\r\n",
    b'ECHO "a"b\r\n', b"ECHO 'a\r\n", b"*1\r\n$4\r\nPINGxy", b"*1\r\n:1\r\n", b"*1\r\n\r\n",
    b"*1\r\n\xff\r\n",
    b"*2\r\n$4\r\nECHO\r\n", b"\0", b"ECHO \v\r\n", b"ECHO a\vb\r\n", b'ECHO ""\r\n', b'"" x\r\n',
    b'ECHO "\\xZZ\\q"\r\n',
    b"*1\r", b"*1\r\n$4\r", b"+OK\r\n", b"-ERR\r\n", b"_\r\n", b"~1\r\n", b"%1\r\n",
]  # fmt: skip
"""Bytes that no client sends on purpose."""


def _changed(words: list[bytes], random: Random) -> list[bytes]:
    """The command, now and then with a word too few or too many, or with something else for a word."""
    kind = random.random()
    if kind < 0.06 and len(words) > 1:
        words.pop()
    elif kind < 0.12:
        words.append(random.choice([b"x", b"1", b"", b"a"]))
    elif kind < 0.14:
        words[random.randrange(len(words))] = random.choice(TEXTS)
    return words


def command(random: Random, odd: bool) -> list[bytes]:
    """A command that both servers have; most are valid."""
    while True:
        words = _any_command(random, odd)
        if _is_common(words) and (odd or [word.upper() for word in words[:2]] not in _OWN):
            return words


_OWN = [[b"CLIENT", word] for word in (b"ID", b"INFO", b"LIST", b"REPLY")]
"""The subcommands whose replies hold the number of the connection, or that suppress replies."""


def _is_common(words: Sequence[bytes]) -> bool:
    """Whether both servers have the command: see MEANT."""
    upper = [word.upper() for word in words]
    return upper not in ([b"MULTI"], [b"COMMAND", b"COUNT"]) and not (
        upper[:2] == [b"CONFIG", b"SET"] and len(words) > 3
    )


def _any_command(random: Random, ends: bool) -> list[bytes]:
    kind = random.random()
    some = DATA if kind < 0.5 else CONNECTION if kind < 0.96 else UNKNOWN if kind < 0.99 or not ends else ENDS
    shape = random.choice(some)
    words = [random.choice(CASES)(word) if random.random() < 0.3 else word for word in shape.words]
    words += map(random.choice, shape.arguments)
    if shape.more:
        words += random.choices(shape.more, k=random.choice([0, 0, 0, 1, 1, 2, 3]))
    return _changed(words, random)


def encode(words: Sequence[bytes]) -> bytes:
    """The command as an array of bulk strings."""
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


def _quoted(word: bytes) -> bytes:
    return b'"' + b"".join([b"\\x%02x" % byte for byte in word]) + b'"'


def inline(words: Sequence[bytes]) -> bytes:
    """The command as an inline command."""
    plain = re.compile(rb"[!#-&(-\[\]-~]+")
    return b" ".join([word if plain.fullmatch(word) else _quoted(word) for word in words]) + b"\r\n"


Session = list[list[bytes]]
"""The bytes that a client sends: pipelines, each in pieces."""


def session(random: Random, odd: bool = True) -> tuple[Session, int]:
    """What a client sends, and how many commands are in it.

    Without `odd` each command is answered, and the answers do not depend on the number of the connection.
    """
    pipelines: Session = []
    count = 0
    if random.random() < 0.5:
        pipelines.append([encode([b"HELLO", b"3"])])
    for _ in range(random.randrange(1, 5)):
        data = b""
        for _ in range(random.choice([1, 1, 2, 5, 20])):
            if odd and random.random() < 0.01:
                data += random.choice(ODD)
                continue
            words = command(random, odd)
            count += 1
            line = not words[0].startswith(b"*") and random.random() < 0.15
            data += inline(words) if line else encode(words)
        pipelines.append(_pieces(data, random))
    return pipelines, count


def _pieces(data: bytes, random: Random) -> list[bytes]:
    if random.random() < 0.8:
        return [data]
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.choice([1, 2, 5])))
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)])]
    return [piece for piece in pieces if piece]


# -- replies


def split_replies(data: bytes) -> list[bytes]:
    """The replies one by one, each as it came."""
    replies = []
    place = 0
    while place < len(data):
        end = _end_of(data, place)
        replies.append(data[place:end])
        place = end
    return replies


def _end_of(data: bytes, place: int) -> int:
    end = data.index(b"\r\n", place) + 2
    kind, head = data[place : place + 1], data[place + 1 : end - 2]
    if kind in (b"$", b"=") and head != b"-1":
        return end + int(head) + 2
    if kind in (b"*", b"%", b"~", b">"):
        for _ in range(int(head) * (2 if kind == b"%" else 1)):
            end = _end_of(data, end)
    return end


def _text(reply: bytes) -> bytes:
    """The text of a bulk or verbatim string."""
    if reply[:1] not in (b"$", b"="):
        return b""
    return reply.partition(b"\r\n")[2][:-2].removeprefix(b"txt:" if reply[:1] == b"=" else b"")


def _pairs(reply: bytes) -> dict[bytes, bytes]:
    """The texts of a map."""
    head, _, body = reply.partition(b"\r\n")
    if head[:1] not in (b"*", b"%"):
        return {}
    texts = list(map(_text, split_replies(body)))
    return dict(zip(texts[::2], texts[1::2]))


# -- what may differ


class Meant(NamedTuple):
    """An intended difference: why, and whether a pair of replies, ours and Redis', shows it."""

    why: str
    is_it: Callable[[bytes, bytes], bool]


def _hello(ours: bytes, real: bytes) -> bool:
    version = re.compile(rb"(?<=version\r\n)\$\d+\r\n[0-9.]+")
    return b"server\r\n" in ours and version.sub(b"", ours) == version.sub(b"", real)


OUR_INFO = {
    b"epaxos_version", b"python_version", b"cluster", b"replica", b"replicas", b"db0",
}  # fmt: skip
OUR_SETTINGS = {
    b"appendfsync", b"appendonly", b"databases", b"maxclients", b"maxmemory", b"maxmemory-policy",
    b"proto-max-bulk-len", b"save", b"timeout",
}  # fmt: skip


def _sections(text: bytes) -> list[tuple[bytes, list[bytes]]]:
    sections = []
    for part in text.split(b"\r\n\r\n"):
        title, *fields = part.strip().split(b"\r\n")
        sections.append((title, [field.partition(b":")[0] for field in fields]))
    return sections


def _info(ours: bytes, real: bytes) -> bool:
    """Whether both have the same sections in one order, and ours only fields that Redis or OUR_INFO has."""
    if not (_text(real).startswith(b"# ") and ours[:1] == real[:1]):
        return False
    theirs = {title: set(fields) for title, fields in _sections(_text(real))}
    mine = _sections(_text(ours))
    titles = [title for title, _ in mine if title]
    return [title for title in theirs if title in titles] == titles and all(
        title == b"# Commandstats" or set(fields) <= theirs[title] | OUR_INFO
        for title, fields in mine
        if title
    )


def _only_sections_of_redis(ours: bytes, real: bytes) -> bool:
    titles = {title for title, _ in _sections(_text(real))}
    return not _text(ours) and titles <= {b"# Latencystats", b"# Modules", b"# Errorstats"}


def _counts(ours: bytes, real: bytes) -> bool:
    """Whether both count commands; what is counted has a test of its own."""
    return ours[:1] == real[:1] and all(_text(reply).startswith(b"# Commandstats") for reply in (ours, real))


SAME_IN_A_LINE = (
    b"id",
    b"name",
    b"db",
    b"sub",
    b"psub",
    b"ssub",
    b"multi",
    b"cmd",
    b"user",
    b"redir",
    b"resp",
)


def _client_lines(ours: bytes, real: bytes) -> bool:
    """Whether both list the same clients in the same order, with equal values of SAME_IN_A_LINE."""
    if not (_text(real).startswith(b"id=") and ours[:1] == real[:1]):
        return False

    def lines(reply: bytes) -> list[dict[bytes, bytes]]:
        some = [
            dict(word.split(b"=", 1) for word in line.split()) for line in _text(reply).split(b"\n") if line
        ]
        return [{name: line[name] for name in SAME_IN_A_LINE} for line in some if line[b"cmd"] != b"ping"]

    return lines(ours) == lines(real)


def _settings(ours: bytes, real: bytes) -> bool:
    mine = {name: value for name, value in _pairs(ours).items() if b"." not in name}  # a dot: SECTION.KEY
    theirs = {
        name: value for name, value in _pairs(real).items() if name in mine or name.lower() in OUR_SETTINGS
    }
    return ours[:1] == real[:1] and ours[:1] in (b"*", b"%") and mine == theirs


def _mark(ours: bytes, real: bytes) -> bool:
    start = b"-ERR Protocol error: expected '$', got '"
    return ours.startswith(start + b"\\x") and real.startswith(start)


def _table(ours: bytes, real: bytes) -> bool:
    return all(reply[:1] == b"*" and b"$6\r\nappend\r\n" in reply for reply in (ours, real))


def _unserved(ours: bytes, real: bytes) -> bool:
    """The rest of a broken command may be a line of its own, which names a command that is not served."""
    return re.match(rb"(?i)-ERR unknown command '(memory|pubsub)'", ours) is not None


MEANT = [
    Meant(
        "HELLO names the Redis whose commands are served, which is a newer one than the one compared", _hello
    ),
    Meant(
        "INFO shows what this process measures, with some fields of its own and without others; and as it"
        " does not go to the other replicas, it counts the keys before commands that came with it have run",
        _info,
    ),
    Meant("INFO has no statistics of errors and latency and no modules", _only_sections_of_redis),
    Meant("INFO counts commands whose arguments are wrong as refused", _counts),
    Meant("CLIENT LIST shows no buffer sizes of Redis, but the client's library", _client_lines),
    Meant("commands that are not served are unknown", _unserved),
    Meant("COMMAND tells of the commands that are served here, and less of each", _table),
    Meant("CONFIG GET knows only the settings that mean something here", _settings),
    Meant("a protocol error shows a byte that cannot be printed as \\xNN, so that logs stay readable", _mark),
]
"""The intended differences.  The test does not compare these, which differ as well:

- MULTI, and keys with deadlines, which tests/differential compares;
- HELP texts (other subcommands are served), and subcommands of CLIENT and CONFIG that one of the two lacks;
- more than 1024 * 1024 arguments (refused);
- an empty command (an empty line, `*0`) behind CLIENT REPLY SKIP, which is the one that is skipped in Redis;
- QUIT, or a protocol error, under CLIENT REPLY OFF, where Redis leaves the connection open for good.
"""


_EMPTY = re.compile(rb"(?:^|\n)(?:[ \t\r\v\f]*\n|\*(?:0|-[0-9]+)\r)")


def skips_nothing(data: bytes) -> bool:
    """Whether an empty command may be what CLIENT REPLY SKIP skips, see MEANT."""
    return b"SKIP" in data.upper() and _EMPTY.search(data) is not None


def difference(ours: bytes, real: bytes) -> str | None:
    """The difference that is not intended; None when there is none."""
    if ours == real:
        return None
    mine, theirs = split_replies(ours), split_replies(real)
    for number, (one, other) in enumerate(zip(mine, theirs)):
        if one != other and not any(meant.is_it(one, other) for meant in MEANT):
            return f"reply {number} is {one!r}, and Redis' {other!r}"
    if len(mine) != len(theirs):
        return f"{len(mine)} replies, and Redis gives {len(theirs)}: {mine[-3:]} and {theirs[-3:]}"
    return None
