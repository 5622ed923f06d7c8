"""The commands on places, which are sorted sets whose scores say where a member is: see `earth.py`."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any, NamedTuple

from epaxos.interfaces import Command, CommandError, NilArray, Reply
from epaxos.interfaces.redis import SYNTAX_ERROR
from epaxos.statemachines.redis.earth import (
    LATITUDE_MAX,
    LONGITUDE_MAX,
    cells_around,
    distance,
    hash_text_of,
    is_in_box,
    place_of,
    score_of_place,
)
from epaxos.statemachines.redis.ranking import Ranking
from epaxos.statemachines.redis.scores import ScoreBound, score_of, score_or_error
from epaxos.statemachines.redis.space import Space
from epaxos.statemachines.redis.spec import CommandSpec, Keys, Piecewise, Touched, always, at_once
from epaxos.statemachines.redis.zset_bounds import integer_or_error
from epaxos.statemachines.redis.zset_ranges import store
from epaxos.statemachines.redis.zsets import ZADD

__all__ = ["COMMANDS"]

STEP_PLACES = 64
"""Places that a step looks at: each takes up to 15 us."""
_UNITS = {b"M": 1.0, b"KM": 1000.0, b"FT": 0.3048, b"MI": 1609.34}


def _unit_of(text: bytes) -> float:
    unit = _UNITS.get(text.upper())
    if unit is None:
        raise CommandError("ERR unsupported unit provided. please use M, KM, FT, MI")
    return unit


def _point_of(longitude: bytes, latitude: bytes) -> tuple[float, float]:
    """Raises CommandError."""
    x, y = score_or_error(longitude), score_or_error(latitude)
    if abs(x) > LONGITUDE_MAX or abs(y) > LATITUDE_MAX:
        raise CommandError(f"ERR invalid longitude,latitude pair {x:f},{y:f}")
    return x, y


def _number(text: bytes, error: str) -> float:
    """Raises CommandError."""
    number = score_of(text)
    if number is None:
        raise CommandError(error)
    return number


def _radius_of(text: bytes, unit: bytes) -> tuple[float, float]:
    """In metres, and the unit.  Raises CommandError."""
    radius = _number(text, "ERR need numeric radius")
    if radius < 0:
        raise CommandError("ERR radius cannot be negative")
    return radius * _unit_of(unit), _unit_of(unit)


def _box_of(width: bytes, height: bytes, unit: bytes) -> tuple[float, float, float]:
    """In metres, and the unit.  Raises CommandError."""
    wide = _number(width, "ERR need numeric width")
    high = _number(height, "ERR need numeric height")
    if wide < 0 or high < 0:
        raise CommandError("ERR height or width cannot be negative")
    return wide * _unit_of(unit), high * _unit_of(unit), _unit_of(unit)


def _shown(metres: float, unit: float) -> bytes:
    return b"%.4f" % (metres / unit)


# -- single places


def _geoadd_of(command: Command) -> list[bytes]:
    """The ZADD that a GEOADD is.  Raises CommandError."""
    start = 2
    while start < len(command) and command[start].upper() in (b"NX", b"XX", b"CH"):
        start += 1
    options = [option.upper() for option in command[2:start]]
    triples = command[start:]
    if len(triples) % 3 or not triples or {b"NX", b"XX"} <= set(options):
        raise CommandError(SYNTAX_ERROR)
    words = [b"ZADD", command[1], *options]
    for longitude, latitude, member in zip(triples[::3], triples[1::3], triples[2::3]):
        words += (b"%d" % score_of_place(*_point_of(longitude, latitude)), member)
    return words


def _check_geoadd(command: Command) -> None:
    _geoadd_of(command)


def _geoadd_in_pieces(space: Space, command: Command, size: int) -> Piecewise:
    return (yield from ZADD(space, _geoadd_of(command), size))


def _scores(space: Space, command: Command) -> list[float | None]:
    ranking = space.typed(command[1], Ranking)
    return [None if ranking is None else ranking.get(member) for member in command[2:]]


def _geopos(space: Space, command: Command) -> Reply:
    return [NilArray() if score is None else list(place_of(score)) for score in _scores(space, command)]


def _geohash(space: Space, command: Command) -> Reply:
    return [None if score is None else hash_text_of(score) for score in _scores(space, command)]


def _check_geodist(command: Command) -> None:
    if len(command) > 5:
        raise CommandError(SYNTAX_ERROR)
    if len(command) == 5:
        _unit_of(command[4])


def _geodist(space: Space, command: Command) -> Reply:
    one, other = _scores(space, command[:4])
    if one is None or other is None:
        return None
    unit = _unit_of(command[4]) if len(command) == 5 else 1.0
    return _shown(distance(place_of(one), place_of(other)), unit)


# -- searches


class _Search(NamedTuple):
    """`middle`: a place, or a member whose place is meant.  `width`, `height`: of a box, both 0 for a circle
    with this radius; in metres.  `order`: ASC, DESC or nothing.  `members`: how many at most, 0 for all."""

    middle: tuple[float, float] | bytes
    radius: float
    width: float
    height: float
    unit: float
    order: bytes
    members: int
    takes_any: bool
    shows: frozenset[bytes]
    destination: bytes | None
    stores_distance: bool


def _check_once(name: str, froms: int, bys: int) -> None:
    """Raises CommandError unless a GEOSEARCH says once from where, and once how far."""
    if froms != 1:
        raise CommandError(f"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}")
    if bys != 1:
        raise CommandError(f"ERR exactly one of BYRADIUS and BYBOX can be specified for {name}")


class _Searcher:
    """GEOSEARCH, GEORADIUS, GEORADIUSBYMEMBER and their like.  `kind`: which of them."""

    def __init__(self, kind: str, reads_only: bool = False, stores: bool = False) -> None:
        self._kind = kind
        self._reads_only = reads_only
        self._stores = stores

    def asked(self, command: Command) -> _Search:
        """Raises CommandError."""
        given: dict[str, Any] = {
            "radius": -1.0, "width": 0.0, "height": 0.0, "unit": 1.0, "order": b"", "members": 0,
            "takes_any": False, "destination": command[1] if self._stores else None, "stores_distance": False,
        }  # fmt: skip
        rest = command[3:] if self._stores else command[2:]
        if self._kind == "place":
            given["middle"] = _point_of(*rest[:2])
            rest = rest[2:]
        elif self._kind == "member":
            given["middle"] = rest[0]
            rest = rest[1:]
        if self._kind != "search":
            given["radius"], given["unit"] = _radius_of(*rest[:2])
            rest = rest[2:]
        shows: set[bytes] = set()
        froms = bys = 0
        words = iter(rest)
        try:
            for word in words:
                option = word.upper()
                if option in (b"WITHDIST", b"WITHHASH", b"WITHCOORD"):
                    shows.add(option)
                elif option == b"ANY":
                    given["takes_any"] = True
                elif option in (b"ASC", b"DESC"):
                    given["order"] = option
                elif option == b"COUNT":
                    given["members"] = integer_or_error(next(words))
                    if given["members"] < 1:
                        raise CommandError("ERR COUNT must be > 0")
                elif option in (b"STORE", b"STOREDIST") and self._kind != "search" and not self._reads_only:
                    given["destination"] = next(words)
                    given["stores_distance"] = option == b"STOREDIST"
                elif option == b"STOREDIST" and self._stores:
                    given["stores_distance"] = True
                elif option == b"FROMMEMBER" and self._kind == "search" and not froms:
                    given["middle"] = next(words)
                    froms += 1
                elif option == b"FROMLONLAT" and self._kind == "search" and not froms:
                    given["middle"] = _point_of(next(words), next(words))
                    froms += 1
                elif option == b"BYRADIUS" and self._kind == "search" and not bys:
                    given["radius"], given["unit"] = _radius_of(next(words), next(words))
                    bys += 1
                elif option == b"BYBOX" and self._kind == "search" and not bys:
                    box = _box_of(next(words), next(words), next(words))
                    given["width"], given["height"], given["unit"] = box
                    bys += 1
                else:
                    raise CommandError(SYNTAX_ERROR)
        except StopIteration:
            raise CommandError(SYNTAX_ERROR) from None
        if shows and given["destination"] is not None:
            what = "GEOSEARCHSTORE" if self._stores else "STORE option in GEORADIUS"
            raise CommandError(f"ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options")
        if self._kind == "search":
            _check_once(command[0].decode().lower(), froms, bys)
        if given["takes_any"] and not given["members"]:
            raise CommandError("ERR the ANY argument requires COUNT argument")
        return _Search(shows=frozenset(shows), **given)

    def check(self, command: Command) -> None:
        """See CommandSpec.check."""
        self.asked(command)

    def find(self, command: Command) -> Touched:
        """See CommandSpec.find."""
        destination = self.asked(command).destination
        return Touched((), command[1:2]) if destination is None else Touched((command[1], destination))

    def in_pieces(self, space: Space, command: Command, size: int) -> Piecewise:
        """See CommandSpec.in_pieces."""
        asked = self.asked(command)
        ranking = space.typed(command[2 if self._stores else 1], Ranking)
        found: list[tuple[float, float, bytes]] = []
        if ranking is not None:
            found = yield from _found(ranking, asked)
            if asked.order or (asked.members and not asked.takes_any):
                found.sort(key=lambda one: (-one[0] if asked.order == b"DESC" else one[0], one[1], one[2]))
            if asked.members:
                del found[asked.members :]
            yield
        if asked.destination is None:
            return [_reply_of(asked, one) for one in found]
        made = Ranking()
        for number, (metres, score, member) in enumerate(found):
            made.put(member, round(metres / asked.unit, 10) if asked.stores_distance else score)
            if number % STEP_PLACES == 0:
                yield
        return store(space, asked.destination, made)


def _found(ranking: Ranking, asked: _Search) -> Generator[None, None, list[tuple[float, float, bytes]]]:
    """The distances in metres, the scores and the members within, by their scores.  Raises CommandError."""
    middle = asked.middle
    if isinstance(middle, bytes):
        score = ranking.get(middle)
        if score is None:
            raise CommandError("ERR could not decode requested zset member")
        middle = place_of(score)
    is_box = asked.radius < 0
    width, height = (asked.width, asked.height) if is_box else (2 * asked.radius, 2 * asked.radius)
    found: list[tuple[float, float, bytes]] = []
    for start, end in cells_around(middle, width, height):
        for scores, members in _between(ranking, start, end):
            for score, member in zip(scores, members):
                place = place_of(score)
                metres = distance(middle, place)
                if is_in_box(middle, place, width, height) if is_box else metres <= asked.radius:
                    found.append((metres, score, member))
            yield
            if asked.takes_any and len(found) >= asked.members:
                return found
    return found


def _between(ranking: Ranking, low: int, high: int) -> Iterator[tuple[Sequence[float], Sequence[bytes]]]:
    start = ranking.place_of_score(ScoreBound(float(low), False), is_end=False)
    end = ranking.place_of_score(ScoreBound(float(high), True), is_end=True)
    for begin in range(start, end, STEP_PLACES):
        yield ranking.part(begin, min(begin + STEP_PLACES, end))


def _reply_of(asked: _Search, one: tuple[float, float, bytes]) -> Any:
    metres, score, member = one
    if not asked.shows:
        return member
    shown: list[Any] = [member]
    if b"WITHDIST" in asked.shows:
        shown.append(_shown(metres, asked.unit))
    if b"WITHHASH" in asked.shows:
        shown.append(int(score))
    if b"WITHCOORD" in asked.shows:
        shown.append(list(place_of(score)))
    return shown


_WITH = "[WITHCOORD] [WITHDIST] [WITHHASH]"
_REST = "[ASC | DESC] [COUNT count [ANY]]"
_FROM = "FROMMEMBER member | FROMLONLAT longitude latitude BYRADIUS radius unit | BYBOX width height unit"


def _search(
    name: bytes, searcher: _Searcher, arity: int, usage: str, summary: str, keys: Keys, writes: bool
) -> CommandSpec:
    return CommandSpec(
        name, at_once(searcher.in_pieces), arity, keys, writes, check=searcher.check,
        find=searcher.find if keys is Keys.FIRST and writes else None, in_pieces=searcher.in_pieces,
        is_large=always,
        usage=f"{name.decode()} {usage}", summary=summary, flags=("denyoom",) if writes else (),
        categories=("geo",), complexity="O(log(N) + M) with M members around",
    )  # fmt: skip


def _read(name: bytes, handler: Any, arity: int, usage: str, summary: str, **more: Any) -> CommandSpec:
    return CommandSpec(
        name, handler, arity, Keys.FIRST, False, usage=usage, summary=summary, flags=(), categories=("geo",),
        **more,
    )  # fmt: skip


_RADIUS = "key longitude latitude radius unit"
_BY_MEMBER = "key member radius unit"
_STORE = "[STORE key | STOREDIST key]"

COMMANDS = (
    CommandSpec(
        b"GEOADD", at_once(_geoadd_in_pieces), -5, Keys.FIRST, True, check=_check_geoadd,
        in_pieces=_geoadd_in_pieces, flags=("denyoom",), categories=("geo",),
        usage="GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]",
        summary="set the places of members: a sorted set whose scores are the places",
        complexity="O(log(N)) for each member",
    ),
    _read(
        b"GEOPOS", _geopos, -2, "GEOPOS key [member ...]", "the longitudes and latitudes of members",
        complexity="O(N) with N members",
    ),
    _read(
        b"GEOHASH", _geohash, -2, "GEOHASH key [member ...]", "the geohashes of members",
        complexity="O(N) with N members",
    ),
    _read(
        b"GEODIST", _geodist, -4, "GEODIST key member1 member2 [M | KM | FT | MI]",
        "the distance of two members", check=_check_geodist, plain=4,
    ),
    _search(
        b"GEOSEARCH", _Searcher("search"), -7, f"key {_FROM} {_REST} {_WITH}",
        "the members in a circle or a box", Keys.FIRST, False,
    ),
    _search(
        b"GEOSEARCHSTORE", _Searcher("search", stores=True), -8,
        f"destination source {_FROM} {_REST} [STOREDIST]",
        "set a key to what GEOSEARCH answers; the reply counts the members", Keys.TWO, True,
    ),
    _search(
        b"GEORADIUS", _Searcher("place"), -6, f"{_RADIUS} {_WITH} {_REST} {_STORE}",
        "the members in a circle around a place", Keys.FIRST, True,
    ),
    _search(
        b"GEORADIUSBYMEMBER", _Searcher("member"), -5, f"{_BY_MEMBER} {_WITH} {_REST} {_STORE}",
        "the members in a circle around a member", Keys.FIRST, True,
    ),
    _search(
        b"GEORADIUS_RO", _Searcher("place", True), -6, f"{_RADIUS} {_WITH} {_REST}",
        "as GEORADIUS, which may not store", Keys.FIRST, False,
    ),
    _search(
        b"GEORADIUSBYMEMBER_RO", _Searcher("member", True), -5, f"{_BY_MEMBER} {_WITH} {_REST}",
        "as GEORADIUSBYMEMBER, which may not store", Keys.FIRST, False,
    ),
)  # fmt: skip
