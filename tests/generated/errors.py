"""docs/reference/errors.md: every error that a client can be sent, found in the source.

An error is a string that begins with a code in capitals, `ERR` or the like.  Where the source fills something
in, the page shows `…`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import epaxos
from tests.generated.page import page, rows

__all__ = ["MEANINGS", "errors", "found"]

ROOT = Path(epaxos.__file__).parent
ROOMS = ("connections", "interfaces", "machines", "node", "resp", "scripts", "statemachines")
ERROR = re.compile(
    r"-?((?:ERR|CLUSTERDOWN|NOPROTO|WRONGPASS|EXECABORT|WRONGTYPE|NOAUTH|NOPERM|DENIED|BUSY|BUSYKEY"
    r"|OOM|CLOCKSKEW|UNBLOCKED|BUSYGROUP|NOGROUP|INVALIDOBJ|NOSESSION|ONCELOST|ONCEREFUSED) \S.*)",
    re.DOTALL,
)

NO, PERHAPS, SAYS = "no", "unknown", "as the text says"

MEANINGS: dict[str, tuple[str, str]] = {
    "ERR GT and LT options at the same time are not compatible": (
        "options of `EXPIRE` that exclude each other",
        NO,
    ),
    "ERR NX and XX, GT or LT options at the same time are not compatible": (
        "options of `EXPIRE` that exclude each other",
        NO,
    ),
    "ERR Unsupported option …": ("`EXPIRE` has no such option", NO),
    "ERR the command was put off … times by keys that became due: try again": (
        "a command that reads many keys met one after the other whose deadline had come, and did nothing",
        NO,
    ),
    "CLUSTERDOWN no quorum answered within … s": (
        "too few other replicas answered within `request_timeout_s`. Try again later, at any replica",
        SAYS,
    ),
    "CLUSTERDOWN the disk of this replica does not answer": (
        "a write has waited longer than `suspect_after_s`. Go to another replica",
        SAYS,
    ),
    "CLUSTERDOWN this replica has to be upgraded": (
        "its program is [too old](../operating/upgrade.md#a-replica-that-is-too-old) for the cluster, and it "
        "stops. Go to another replica",
        SAYS,
    ),
    "CLUSTERDOWN this replica is not a member any more": (
        "it was [removed](../operating/members.md). Go to a member",
        SAYS,
    ),
    "CLUSTERDOWN this replica is not a member yet": (
        "it [joins](../operating/members.md#a-replica-joins), and nobody has added it yet. Go to a member",
        NO,
    ),
    "CLUSTERDOWN the replica does not run": (
        "it stops, or waits for the other members at [the first start](../operating/run.md#the-first-start). "
        "The command was not run",
        NO,
    ),
    "CLUSTERDOWN the replica has failed": ("it stops, and its log says why. Go to another replica", SAYS),
    "CLUSTERDOWN the replica is catching up and did not answer within … s": (
        "it was down or cut off, and executes what it missed. Go to another replica meanwhile",
        SAYS,
    ),
    "CLUSTERDOWN the replica is stopping": ("somebody stops it. Go to another replica", SAYS),
    "CLUSTERDOWN the replica sees no majority of the members": (
        "`CLUSTER` and `SENTINEL`: it is cut off, or too many are down. The client asks another replica",
        NO,
    ),
    "CLUSTERDOWN the replica takes the state of another one": (
        "it [has taken the state](../operating/disk-and-memory.md#a-member-that-was-away), and begins again: "
        "the connection is closed. Go to another replica",
        SAYS,
    ),
    "CLUSTERDOWN the replica was away for too long, and takes the state of another one": (
        "it serves again when [it has the state](../operating/disk-and-memory.md#a-member-that-was-away). Go "
        "to another replica meanwhile",
        NO,
    ),
    "DENIED this replica is running in protected mode because protected mode is enabled and no password is "
    "set. In this mode connections are only accepted from the loopback interface and from Unix sockets. If "
    "you want to connect from external computers, do one of the following in section [security] of the "
    "configuration file and restart the replica: 1) Set up a password: requirepass = PASSWORD. 2) Disable "
    "protected mode: protected_mode = no. MAKE SURE that only those reach the port who may use the data if "
    "you do so.": ("the connection is closed: [security](../operating/security.md)", NO),
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
    "configuration is correct?": ("no password is set; leave `AUTH` out", NO),
    "ERR Rewriting config file: …": ("`CONFIG REWRITE`: the file stays as it was", NO),
    "ERR The server is running without a config file": ("`CONFIG REWRITE`: set it where it comes from", NO),
    "ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.": (
        "`SLOWLOG GET` takes one number",
        NO,
    ),
    "ERR count should be greater than or equal to -1": ("`SLOWLOG GET`", NO),
    "ERR CONFIG SET failed (possibly related to argument '…') - …": ("nothing was set", NO),
    "ERR Unknown option or number of arguments for CONFIG SET - '…'": ("there is no such setting", NO),
    "OOM command not allowed when used memory > 'maxmemory'.": (
        "the keys take more than `maxmemory`: remove some, or choose a policy (operating/disk-and-memory)",
        NO,
    ),
    "ERR CLIENT PAUSE mode must be WRITE or ALL": ("`CLIENT PAUSE`", NO),
    "ERR Client names cannot contain spaces, newlines or special characters.": (
        "`CLIENT SETNAME`, `HELLO`",
        NO,
    ),
    "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR": ("`CLIENT UNBLOCK`", NO),
    "ERR more than … keys to wait for": ("`BLPOP` and its kin", NO),
    "ERR No such client": ("`CLIENT KILL` of an address that no client of this replica has", NO),
    "ERR No such user '…'": ("`CLIENT KILL USER` of another user than `default`", NO),
    "ERR client-id should be greater than 0": ("`CLIENT KILL ID`", NO),
    "ERR DB index is out of range": ("`SELECT` of another database than 0 to 15", NO),
    "ERR DISCARD without MULTI": ("`MULTI` was not sent, or refused", NO),
    "ERR EXEC without MULTI": ("`MULTI` was not sent", NO),
    "ERR Command not allowed inside a transaction": (
        "`EPAXOS` and `CLIENT REPLY` behind `MULTI`; `EXEC` will run nothing",
        NO,
    ),
    "ERR MULTI calls can not be nested": ("`MULTI` was sent before; the transaction goes on", NO),
    "ERR WATCH inside MULTI is not allowed": ("`WATCH` goes before `MULTI`; the transaction goes on", NO),
    "ERR the transaction is too long: more than … commands, or than … bytes": (
        "`EXEC` will run nothing: make shorter transactions",
        NO,
    ),
    "ERR the transaction is too long: more than … commands that this replica answers by itself": (
        "`PING`, `COMMAND`, `CLIENT …` behind `MULTI`, or what can only fail; `EXEC` will run nothing",
        NO,
    ),
    "ERR too many channels or patterns in one command: at most …": (
        "`SUBSCRIBE`, `PSUBSCRIBE` and their opposites: send several commands",
        NO,
    ),
    "ERR too many keys are watched: at most … by all clients of a replica": (
        "`WATCH`: the next `EXEC` runs nothing; try again later",
        NO,
    ),
    "ERR unknown command 'WATCH': transactions are not served": (
        "the state machine has no transactions",
        NO,
    ),
    "CLUSTERDOWN a command that was sent before this one has failed; the command was not run": (
        "by the same connection, without waiting for the answer: that one has got another error",
        NO,
    ),
    "ERR Invalid client ID": ("`CLIENT LIST ID` with something else than a number", NO),
    "ERR Protocol error: expected '$', got '…'": (
        "the connection is closed: the client's bytes are not RESP",
        NO,
    ),
    "ERR Protocol error: invalid bulk length": (
        "the connection is closed: not RESP, or an argument beyond `command_bytes_max`",
        NO,
    ),
    "ERR Protocol error: invalid multibulk length": (
        "the connection is closed: not RESP, or more than 1 048 576 arguments",
        NO,
    ),
    "ERR CLUSTER … is not served: EPAXOS changes the members, and each has all keys": (
        "what an operator of a Redis Cluster would do: see [members](../operating/members.md)",
        NO,
    ),
    "ERR Can't execute '…': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
    "context": ("the connection listens, in RESP2", NO),
    "ERR Invalid command specified": ("`COMMAND GETKEYS`: there is no such command", NO),
    "ERR Invalid number of arguments specified for command": ("`COMMAND GETKEYS`", NO),
    "ERR No such master with that name": (
        "`SENTINEL`: the name of the master is that of the cluster, `name` in `[cluster]`",
        NO,
    ),
    "ERR SENTINEL … is not served: there is no master to be chosen": ("every replica takes writes", NO),
    "ERR The command has no key arguments": ("`COMMAND GETKEYS`", NO),
    "ERR Unknown node …": ("`CLUSTER REPLICAS`: the ids are those of `CLUSTER NODES`", NO),
    "ERR a client may listen to … channels and patterns": ("use several connections", NO),
    "ERR too many channels in one command: at most …": ("`PUBSUB NUMSUB`: ask several times", NO),
    "ERR too many patterns begin alike at this replica: all that begin with the same plain bytes may have …"
    " bytes together": ("`PSUBSCRIBE`: let patterns begin with what tells their channels apart", NO),
    "ERR too many patterns with something between two stars at this replica: at most …; with a class or a"
    " question mark there, all its bytes count": ("`PSUBSCRIBE`: use channels, or plain text and a star", NO),
    "ERR the patterns of one command have more than … bytes together, not counting those that are at most 64"
    " plain bytes and a star": ("`PSUBSCRIBE`: send several commands", NO),
    "ERR Replica can't interact with the keyspace": ("a client that has sent `MONITOR` may only look on", NO),
    "ERR unknown subcommand or wrong number of arguments for '…'. Try PUBSUB HELP.": (
        "there is one pattern at most",
        NO,
    ),
    "ERR the replica is no member": ("`SENTINEL MYID` at a replica that joins", NO),
    "ERR Protocol error: the command is too long": (
        "the connection is closed: beyond `command_bytes_max`",
        NO,
    ),
    "ERR Protocol error: unauthenticated bulk length": (
        "the connection is closed: an argument of more than 16 384 bytes before the password",
        NO,
    ),
    "ERR Protocol error: unauthenticated multibulk length": (
        "the connection is closed: more than 10 arguments before the password",
        NO,
    ),
    "ERR Protocol error: unbalanced quotes in request": (
        "the connection is closed: a wrong inline command",
        NO,
    ),
    "ERR Protocol error: …": ("the connection is closed: a line of more than 64 KiB", NO),
    "ERR Protocol version is not an integer or out of range": ("`HELLO`", NO),
    "ERR Syntax error in HELLO option '…'": ("`HELLO`", NO),
    "ERR Unknown client type '…'": ("`CLIENT LIST TYPE`", NO),
    "ERR Unrecognized option '…'": ("`CLIENT SETINFO`", NO),
    "ERR decrement would overflow": ("`DECRBY` by the smallest 64-bit integer", NO),
    "ERR increment or decrement would overflow": ("the result is no 64-bit integer; the value stays", NO),
    "ERR max number of clients reached": (
        "`clients_max` clients are connected, or as many as the limit of open files allows; the log says "
        "which",
        NO,
    ),
    "ERR not run: MULTI was refused, and nothing runs up to EXEC, DISCARD or RESET": (
        "a transaction's command",
        NO,
    ),
    "ERR string exceeds maximum allowed size (proto-max-bulk-len)": (
        "`APPEND`, `SETRANGE`, `SETBIT`: see [limits](../concepts/limits.md)",
        NO,
    ),
    "CLOCKSKEW the clock of this replica is not that of the others: the command was not run; ask another "
    "replica": ("a command with a time to live, at a replica whose clock is wrong", NO),
    "WRONGTYPE Operation against a key holding the wrong kind of value": (
        "the value of the key has another type",
        NO,
    ),
    "ERR the command has run, and its reply is left out: those of the transaction are too long together": (
        "`EXEC`: the replies are longer than 64 MiB",
        "yes",
    ),
    "ERR If you want both the length and indexes, please just use IDX.": ("`LCS`", NO),
    "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len": (
        "`LCS`: each value has at most 20 000 bytes, and the product of the lengths is at most 10 000 000",
        NO,
    ),
    "ERR The specified keys must contain string values": ("`LCS`", NO),
    "BUSYKEY Target key name already exists.": ("`RESTORE` without `REPLACE`", NO),
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when "
    "switching between policies at runtime LRU and LFU data will take some time to adjust.": (
        "`OBJECT FREQ`",
        NO,
    ),
    "ERR Bad data format: …": (
        "`RESTORE`: the payload is of a type that is not served, is longer than "
        "[limits](../concepts/limits.md) say, or is no value at all",
        NO,
    ),
    "ERR DUMP payload version or checksum are wrong": (
        "`RESTORE`: the payload was cut off or changed, or is of a later Redis than 8",
        NO,
    ),
    "ERR Invalid FREQ value, must be >= 0 and <= 255": ("`RESTORE`", NO),
    "ERR Invalid IDLETIME value, must be >= 0": ("`RESTORE`", NO),
    "ERR Invalid TTL value, must be >= 0": ("`RESTORE`", NO),
    "ERR invalid cursor": (
        "`SCAN`, `HSCAN`, `SSCAN`, `ZSCAN`: a cursor is what the reply before has told, 0 at first",
        NO,
    ),
    "ERR invalid … DB index": ("`SWAPDB`: no integer", NO),
    "ERR no such key": ("`RENAME`, `LSET`, `XSETID`, `XINFO` and others", NO),
    "ERR source and destination objects are the same": ("`COPY`, `MOVE`", NO),
    "ERR timeout is negative": ("`WAIT`, `CLIENT PAUSE`, `BLPOP` and its kin", NO),
    "ERR timeout is not an integer or out of range": ("`WAIT`, `CLIENT PAUSE`", NO),
    "ERR increment would produce NaN or Infinity": (
        "`INCRBYFLOAT`: a sum of more than 309 digits before the point",
        NO,
    ),
    "ERR invalid expire time in '…' command": ("a time to live below 1, or a very large one", NO),
    "ERR offset is out of range": ("`SETRANGE`: an offset below 0", NO),
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to"
    " start from the end of the list": ("the `RANK` of `LPOS`", NO),
    "ERR One or more scores can't be converted into double": (
        "`SORT` without `ALPHA` of what is no number: an element, or the value of a key of `BY`",
        NO,
    ),
    "ERR SORT would look up more than … values, or … bytes of them": (
        "`SORT`: use `LIMIT`, or fewer `GET`",
        NO,
    ),
    "ERR count should be greater than 0": ("the `COUNT` of `LMPOP` and `ZMPOP`", NO),
    "ERR numkeys should be greater than 0": ("the number of keys of `LMPOP`, `ZMPOP` and `SINTERCARD`", NO),
    "ERR index out of range": ("`LSET` of a place behind the end of the list", NO),
    "ERR value is out of range, must be positive": (
        "the number of elements of `LPOP`, `RPOP`, `SPOP`, `ZPOPMIN` and `ZPOPMAX`",
        NO,
    ),
    "ERR … can't be negative": ("the `COUNT` or `MAXLEN` of `LPOS`", NO),
    "ERR hash value is not a float": ("`HINCRBYFLOAT` of a field that is no decimal number", NO),
    "ERR hash value is not an integer": ("`HINCRBY` of a field that is no 64-bit integer", NO),
    "ERR value is out of range": (
        "`HRANDFIELD`, `SRANDMEMBER`, `ZRANDMEMBER`: more than can be drawn",
        NO,
    ),
    "ERR GT, LT, and/or NX options at the same time are not compatible": (
        "options of `ZADD` that exclude each other",
        NO,
    ),
    "ERR XX and NX options at the same time are not compatible": (
        "options of `ZADD` that exclude each other",
        NO,
    ),
    "ERR INCR option supports a single increment-element pair": ("`ZADD` with `INCR`", NO),
    "ERR LIMIT can't be negative": ("`SINTERCARD`, `ZINTERCARD`: `LIMIT` is below 0, or no integer", NO),
    "ERR at least 1 input key is needed for '…' command": ("`ZUNION` and its like", NO),
    "ERR min or max is not a float": ("a range of scores", NO),
    "ERR min or max not valid string range item": (
        "a range of members whose ends are none of `-`, `+`, `[member` and `(member`",
        NO,
    ),
    "ERR resulting score is not a number (NaN)": ("`ZINCRBY` of one infinite score by the other", NO),
    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX": ("`ZRANGE`", NO),
    "ERR syntax error, WITHSCORES not supported in combination with BYLEX": ("`ZRANGE`", NO),
    "ERR could not decode requested zset member": ("`GEOSEARCH` and its like: there is no such member", NO),
    "ERR exactly one of BYRADIUS and BYBOX can be specified for …": ("`GEOSEARCH`, `GEOSEARCHSTORE`", NO),
    "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for …": (
        "`GEOSEARCH`, `GEOSEARCHSTORE`",
        NO,
    ),
    "ERR height or width cannot be negative": ("`GEOSEARCH` and its like", NO),
    "ERR invalid longitude,latitude pair …,…": (
        "longitudes are from -180 to 180, latitudes from -85.05112878 to 85.05112878",
        NO,
    ),
    "ERR need numeric height": ("`GEOSEARCH` and its like", NO),
    "ERR need numeric radius": ("`GEOSEARCH` and its like", NO),
    "ERR need numeric width": ("`GEOSEARCH` and its like", NO),
    "ERR radius cannot be negative": ("`GEOSEARCH` and its like", NO),
    "ERR the ANY argument requires COUNT argument": ("`GEOSEARCH` and its like", NO),
    "ERR unsupported unit provided. please use M, KM, FT, MI": ("`GEODIST`, `GEOSEARCH` and its like", NO),
    "ERR … is not compatible with WITHDIST, WITHHASH and WITHCOORD options": (
        "what is stored has no distances, hashes or coordinates",
        NO,
    ),
    "ERR weight value is not a float": ("the `WEIGHTS` of `ZUNION` and its like", NO),
    "ERR value is not a valid float": ("no decimal number, or of more than 309 digits", NO),
    "ERR syntax error": ("an option that the command does not have", NO),
    "ERR a session has … hexadecimal digits": ("`EPAXOS ONCE`, `EPAXOS SESSION END`", NO),
    "ERR the command has failed, see the log of the replica": ("`EPAXOS`: please report it", PERHAPS),
    "ERR the command is too large: …": ("over UDP a command has to fit into `datagram_bytes_max`", NO),
    "ERR the pattern has more than … bytes between two stars, with a question mark or a class among them": (
        "`KEYS`, `SCAN`, `PSUBSCRIBE`: no name can be tried on it in a reasonable time",
        NO,
    ),
    "ERR the pattern is longer than … bytes": (
        "`KEYS`, `COMMAND LIST FILTERBY PATTERN`, and `MATCH` of `SCAN`, `HSCAN`, `SSCAN` and `ZSCAN`",
        NO,
    ),
    "ERR the patterns are longer than … bytes together": ("one `CONFIG GET`", NO),
    "ERR there are no backups: nothing is kept on disk": (
        "`EPAXOS BACKUP-READ` and `BACKUP-DELETE` with `engine = memory`",
        NO,
    ),
    "ERR there are … sessions already: no session can begin before one ends": (
        "`EPAXOS SESSION`: end some ([exactly once](../using/exactly-once.md))",
        NO,
    ),
    "ERR too many client IDs": ("more than 10 000 behind `CLIENT LIST ID`", NO),
    "ERR unknown command 'MULTI': transactions are not served; nothing runs up to EXEC": (
        "send the commands one by one, or use `MSET` and the like",
        NO,
    ),
    "ERR unknown command '…', the printer knows PRINT key text": (
        "the cluster runs the state machine `printer`",
        NO,
    ),
    "ERR unknown command '…', with args beginning with: …": ("[commands](commands.md)", NO),
    "ERR unknown subcommand '…'. Try … HELP.": ("[commands](commands.md)", NO),
    "ERR '…' needs an upgrade turn: it is of version …, and the cluster is at version …; run epaxosctl turn "
    "once every replica has the new program": (
        "a command that is newer than the [version](../operating/upgrade.md) of the cluster",
        NO,
    ),
    "ERR value is not an integer or out of range": (
        "an argument, or the value of the key, is no 64-bit integer",
        NO,
    ),
    "ERR value is out of range, value must between … and …": ("`SELECT`, `MOVE`, `COPY`", NO),
    "ERR wrong number of arguments for '…' command": ("[commands](commands.md)", NO),
    "ERR unknown command '…'": (
        "the cluster runs [a machine of its own](../using/state-machines.md), which has no such command",
        NO,
    ),
    "ERR … failed: …; nothing was changed": (
        "a command of [a machine](../using/state-machines.md#what-a-machine-must-promise) has a bug. The log "
        "of the replica that was asked says where; inside of `EPAXOS ONCE`, the log of every replica",
        "yes, and was undone",
    ),
    "ERR …: … …": ("an argument that a command of [a machine](../using/state-machines.md) does not take", NO),
    "ERR …": (
        "`EPAXOS TURN`, or a change of the members, was refused, and the text says why: [the next epoch]"
        "(../operating/epaxosctl.md#the-next-epoch), [change the members](../operating/members.md"
        "#when-it-is-refused). After a text that says that the next epoch may still begin, look at "
        "`epoch.number` of the [status](status.md). Or one of the commands for "
        "[backups](../operating/backup.md) was",
        SAYS,
    ),
    "ERR … EPAXOS commands wait for their answers already, try again": ("too many of all clients", NO),
    "ERR … cannot contain spaces, newlines or special characters.": ("`CLIENT SETINFO`", NO),
    "EXECABORT Transaction discarded because …": ("a command behind `MULTI` was refused, or `MULTI` was", NO),
    "NOAUTH Authentication required.": ("give the password first: `AUTH`, `HELLO 3 AUTH default …`", NO),
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> "
    "<pass> option can be used to authenticate the client and select the RESP protocol version at the same "
    "time": (
        "give the password with `HELLO`, or by `AUTH` before",
        NO,
    ),
    "NOPERM this command of EPAXOS is for clients on the replica's own host (loopback, Unix socket), and for "
    "those that have given the password": ("[security](../operating/security.md)", NO),
    "NOPERM …": ("the user may not run the command, or not with this key or channel: `ACL SETUSER`", NO),
    "NOPERM ACL failure in script: …": ("a script called what its user may not do", NO),
    "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This "
    "command is no longer allowed for the following reason: …": (
        "the other commands of the transaction have run",
        NO,
    ),
    "NOPERM scripts inside EPAXOS ONCE or TRACE are for users that may run all commands on all keys and "
    "channels": (
        "send the script alone",
        NO,
    ),
    "NOPERM the user may not run all of the transaction inside EPAXOS ONCE": (
        "nothing has run; a script in it is for users that may do everything",
        NO,
    ),
    "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to "
    "…": (
        "no such number of bits",
        NO,
    ),
    "ERR Command '…' not found": ("`ACL DRYRUN` of a command that is not served", NO),
    "ERR User '…' not found": ("`ACL DRYRUN` of a user that is not there", NO),
    "ERR Error in ACL SETUSER modifier '…': …": ("a rule that is wrong: nothing was changed", NO),
    "ERR The 'default' user cannot be removed": ("switch it `off` instead", NO),
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL "
    "SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in "
    "order to store users in the Redis configuration.": (
        "Redis' words: users are a part of the state, and kept there",
        NO,
    ),
    "ERR Unknown category '…'": ("`ACL CAT` lists those that there are", NO),
    "ERR Usernames can't contain spaces or null characters": ("choose another name", NO),
    "ERR the name of a user may have … bytes": ("choose a shorter name", NO),
    "ERR there may be … users": ("remove some", NO),
    "ERR … rules may be given at a time": ("give them in several `ACL SETUSER`", NO),
    "ERR the rules on commands begin with those on all": ("never told to a client", NO),
    "NOPERM a user with patterns of keys may name … keys in one command": (
        "send several commands; each key is looked at",
        NO,
    ),
    "NOPERM users are changed by clients on the replica's own host (loopback, Unix socket), and by those "
    "that have given a password": (
        "[security](../operating/security.md)",
        NO,
    ),
    "ERR unknown subcommand or wrong number of arguments for '…'. Try ACL HELP.": ("`ACL CAT`", NO),
    "ERR nobody knows the keys of commands yet": ("never told to a client", NO),
    "ERR users are not served by this state machine": ("`kv` alone has users", NO),
    "ERR … option of SORT denied due to insufficient ACL permissions": (
        "`BY` and `GET` are for users that may read all keys",
        NO,
    ),
    "NOPROTO unsupported protocol version": ("`HELLO` with another version than 2 or 3", NO),
    "NOSESSION the session is unknown or has ended: the command may have run, and does not run again": (
        "`EPAXOS ONCE`: begin another session; for the command see [exactly once](../using/exactly-once.md)",
        PERHAPS,
    ),
    "ONCELOST the number was acknowledged, or too many replies were kept: the command may have run, and does "
    "not run again": ("[exactly once](../using/exactly-once.md#what-it-may-be-told)", PERHAPS),
    "ONCELOST the reply was longer than … bytes: the command has run, and does not run again": (
        "the reply was sent once, and is not kept: ask for the data",
        "yes",
    ),
    "ONCEREFUSED '…' is not allowed inside EPAXOS ONCE: it was not run": (
        "send it without `ONCE` ([what may stand inside](../using/exactly-once.md#what-may-stand-inside))",
        NO,
    ),
    "WRONGPASS invalid username-password pair or user is disabled.": (
        "there is no such user, it is off, or it has another password",
        NO,
    ),
    "ERR Error compiling script (new function): …": ("the text is no Lua 5.1; what follows says where", NO),
    "ERR Invalid script shebang": ("`#!` begins the only line of the script", NO),
    "ERR Lua redis lib command arguments must be strings or integers": (
        "a script gave `redis.call` something else",
        NO,
    ),
    "ERR Number of keys can't be greater than number of args": (
        "the number behind the script, and what follows it, do not fit",
        NO,
    ),
    "ERR Number of keys can't be negative": ("the number behind the script", NO),
    "ERR Please specify at least one argument for this redis lib call": (
        "a script called `redis.call` with nothing",
        NO,
    ),
    "ERR SCRIPT FLUSH only support SYNC|ASYNC option": ("both do the same", NO),
    "ERR Script attempted to access a key that it did not declare": (
        "`undeclared = refuse` is set ([scripts](../using/scripts.md#keys-that-are-not-declared)). Name "
        "every key behind the number of keys",
        NO,
    ),
    "ERR This Redis command is not allowed from script": (
        "it concerns a connection, or is for operators",
        NO,
    ),
    "ERR Unexpected engine in script shebang: …": ("`#!lua` alone is known", NO),
    "ERR Unexpected flag in script shebang: …": ("the flags are those of Redis 7.0", NO),
    "ERR Unknown Redis command called from script": ("there is no such command", NO),
    "ERR Unknown lua shebang option: …": ("`flags=` alone is known", NO),
    "ERR Write commands are not allowed from read-only scripts.": (
        "use `EVAL`, or leave out the flag `no-writes`",
        NO,
    ),
    "ERR Wrong number of args calling Redis command from script": (
        "of the command that `redis.call` was given",
        NO,
    ),
    "ERR a script may have … bytes": ("the [limit](../concepts/limits.md) of a text", NO),
    "ERR the script called more commands than a script may": (
        "it has had no effect ([limits](../concepts/limits.md)). Do less in one script",
        NO,
    ),
    "ERR the script ran for more instructions than a script may": (
        "it has had no effect ([limits](../concepts/limits.md)). Do less in one script",
        NO,
    ),
    "ERR the script was stopped by an error in a library": (
        "it has had no effect. A function that it called has failed in Python, which is a defect: report it",
        NO,
    ),
    "ERR the script used more memory than a script may": (
        "it has had no effect ([limits](../concepts/limits.md)). Do less in one script",
        NO,
    ),
    "ERR the table of scripts is full: SCRIPT FLUSH empties it": (
        "send texts by `EVAL`, or empty [the table](../using/scripts.md#the-table-of-scripts). Give scripts "
        "arguments instead of building their texts",
        NO,
    ),
    "ERR unknown subcommand '…'. Try SCRIPT HELP.": ("of `SCRIPT`", NO),
    "ERR the elements are longer than … bytes together": ("one `PFADD`", NO),
    "WRONGTYPE Key is not a valid HyperLogLog string value.": ("`PFADD`, `PFCOUNT`, `PFMERGE`", NO),
    "INVALIDOBJ Corrupted HLL object detected": (
        "`PFADD`, `PFCOUNT`, `PFMERGE` of a string that only begins as a HyperLogLog",
        NO,
    ),
    "ERR bit offset is not an integer or out of range": ("`SETBIT`, `GETBIT`, `BITFIELD`", NO),
    "ERR bit is not an integer or out of range": ("`SETBIT`: another bit than 0 or 1", NO),
    "ERR The bit argument must be 1 or 0.": ("`BITPOS`", NO),
    "ERR BITOP NOT must be called with a single source key.": ("`BITOP NOT`", NO),
    "ERR Invalid OVERFLOW type specified": ("`BITFIELD`: `WRAP`, `SAT` and `FAIL` are served", NO),
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.": (
        "`BITFIELD`",
        NO,
    ),
    "ERR BITFIELD_RO only supports the GET subcommand": ("`BITFIELD_RO`", NO),
    "ERR too many arguments for 'bitfield' command": ("more than 4 096, which would run in one step", NO),
    "BUSYGROUP Consumer Group name already exists": ("`XGROUP CREATE` of a group that there is", NO),
    "NOGROUP No such consumer group '…' for key name '…'": ("create it with `XGROUP CREATE`", NO),
    "NOGROUP No such key '…' or consumer group '…'": ("create it with `XGROUP CREATE … MKSTREAM`", NO),
    "NOGROUP No such key '…' or consumer group '…' in XREADGROUP with GROUP option": (
        "create it with `XGROUP CREATE … MKSTREAM`",
        NO,
    ),
    "ERR COUNT must be > 0": ("`XAUTOCLAIM` with another `COUNT`", NO),
    "ERR Elements are too large to be stored": ("an entry of a stream has too many fields", NO),
    "ERR Invalid min-idle-time argument for XAUTOCLAIM": ("it is no integer", NO),
    "ERR Invalid min-idle-time argument for XCLAIM": ("it is no integer", NO),
    "ERR Invalid stream ID specified as stream command argument": (
        "an id is milliseconds, `-` and a sequence; ranges have `-`, `+` and `(`, too",
        NO,
    ),
    "ERR Invalid … option argument for XCLAIM": ("it is no integer", NO),
    "ERR Missing GROUP option for XREADGROUP": ("`XREADGROUP` without `GROUP`", NO),
    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer"
    " by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty"
    " result set.": ("say `>`, or an id", NO),
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.": (
        "`XREAD` takes an id, or `$`",
        NO,
    ),
    "ERR The ID specified in XADD is equal or smaller than the target stream top item": (
        "ids of a stream only rise, also when entries were removed; `*` makes one",
        NO,
    ),
    "ERR The ID specified in XADD must be greater than 0-0": ("as the text says", NO),
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the"
    " MKSTREAM option to create an empty stream automatically.": ("as the text says", NO),
    "ERR The stream has exhausted the last possible ID, unable to add more items": (
        "the last id of the stream is the highest one that there is",
        NO,
    ),
    "ERR The … argument must be >= 0.": ("`XADD` or `XTRIM` with a number below 0", NO),
    "ERR The … option is only supported by XREADGROUP. You called XREAD instead.": ("as the text says", NO),
    "ERR The … specified in XSETID is smaller than …": ("as the text says", NO),
    "ERR Unbalanced '…' list of streams: for each stream key an ID or '…' must be specified.": (
        "as many ids as keys stand behind `STREAMS`",
        NO,
    ),
    "ERR Unrecognized XCLAIM option '…'": ("it is neither an id nor an option", NO),
    "ERR a group has at most … consumers": ("remove some with `XGROUP DELCONSUMER`", NO),
    "ERR a stream has at most … groups": ("remove some with `XGROUP DESTROY`", NO),
    "ERR entries_added must be positive": ("`XSETID` with a number below 0", NO),
    "ERR invalid end ID for the interval": ("`(` excludes the lowest id", NO),
    "ERR invalid start ID for the interval": ("`(` excludes the highest id", NO),
    "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy": (
        "`XADD` with `LIMIT`, without `MAXLEN` or `MINID`",
        NO,
    ),
    "ERR syntax error, LIMIT cannot be used without the special ~ option": ("as the text says", NO),
    "ERR syntax error, MAXLEN and MINID options at the same time are not compatible": (
        "as the text says",
        NO,
    ),
    "ERR syntax error, XTRIM must be called with a trimming strategy": ("`MAXLEN` or `MINID`", NO),
    "ERR unknown subcommand or wrong number of arguments for '…'. Try … HELP.": ("as the text says", NO),
    "ERR value for ENTRIESREAD must be positive or -1": ("as the text says", NO),
    "ERR timeout is not a float or out of range": ("the seconds that `BLPOP` and its kin wait", NO),
    "ERR timeout is out of range": ("the seconds that `BLPOP` and its kin wait", NO),
    "ERR wrong number of arguments for 'client|unblock' command": ("`CLIENT UNBLOCK`", NO),
    "UNBLOCKED client unblocked via CLIENT UNBLOCK": ("`CLIENT UNBLOCK … ERROR` has ended the wait", NO),
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)": (
        "the replica stops, takes the state of another one, or is no member any more. Wait at another one",
        NO,
    ),
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode"
    " enabled": ("`CLIENT CACHING` without `CLIENT TRACKING ON`", NO),
    "ERR CLIENT CACHING … is only valid when tracking is enabled in … mode.": ("`CLIENT CACHING`", NO),
    "ERR OPTIN and OPTOUT are not compatible with BCAST": ("`CLIENT TRACKING`", NO),
    "ERR PREFIX option requires BCAST mode to be enabled": ("`CLIENT TRACKING`", NO),
    "ERR Prefix '…' overlaps with … prefix '…'. Prefixes for a single client must not overlap.": (
        "`CLIENT TRACKING`: one prefix begins with another one",
        NO,
    ),
    "ERR REDIRECT is not served: use RESP3 (HELLO 3), where invalidations come on the connection that"
    " reads": (
        "`CLIENT TRACKING … REDIRECT`",
        NO,
    ),
    "ERR You can't specify both OPTIN mode and OPTOUT mode": ("`CLIENT TRACKING`", NO),
    "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling"
    " it with a different mode.": ("`CLIENT TRACKING OFF` comes first", NO),
    "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling"
    " it with a different mode.": ("`CLIENT TRACKING OFF` comes first", NO),
    "ERR a client may have … prefixes": ("`CLIENT TRACKING … BCAST`: use fewer, shorter prefixes", NO),
    "ERR a prefix may have … bytes": ("`CLIENT TRACKING … BCAST`: use a shorter prefix", NO),
}
"""What each error means or what to do, and whether its command may have run."""


def _texts(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    formatted = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    within = {id(value) for node in formatted for value in node.values}
    for node in formatted:
        yield "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in within:
            if isinstance(node.value, bytes):
                yield node.value.decode("latin-1")
            elif isinstance(node.value, str):
                yield node.value


def found() -> list[str]:
    """The errors in the source, sorted."""
    paths = (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))
    matches = (ERROR.fullmatch(text.strip()) for path in paths for text in _texts(path))
    return sorted({match[1] for match in matches if match is not None and "\n" not in match[1]})


def errors() -> str:
    """The page."""
    return page(
        "Errors",
        "the strings in epaxos/{interfaces,machines,node,resp,scripts,statemachines}",
        "Every error that a client can be sent. `…` stands for what is filled in. `ERR` is always the "
        "client's side: "
        "the command is wrong in itself, or for the value that it met, and is not to be repeated as it is. "
        "`NOAUTH`, `WRONGPASS`, `NOPERM` and `DENIED` say who may do what "
        "([security](../operating/security.md)). "
        "`CLUSTERDOWN` is always the cluster's side: `; the command was not run` and `; the command may "
        "still run` "
        "behind it say what is known of it. What a client does then: [clients](../using/clients.md).",
        rows(
            ["error", "meaning, and what to do", "may it have run?"],
            ([f"`{text}`", *MEANINGS[text]] for text in found()),
        ),
        "A connection that is closed without an answer says nothing of its commands: they may have run.",
    )
