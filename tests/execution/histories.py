"""Decisions of a cluster: random small histories, and large ones of a known shape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random
from typing import NamedTuple

from epaxos.protocol.values.ids import Deps, InstanceId
from epaxos.protocol.values.messages import NOP, Batch

__all__ = [
    "Decided",
    "around_a_stuck_one",
    "backlog",
    "barriers",
    "batch",
    "chain",
    "cycle",
    "interferes",
    "peeled",
    "random_history",
    "readers_and_writers",
    "shuffled",
]


class Decided(NamedTuple):
    """The arguments of one commit."""

    id: InstanceId
    batch: Batch
    deps: Deps


def batch(writes: str = "", reads: str = "", barrier: bool = False) -> Batch:
    """A batch in which every letter is a key."""
    return Batch(tuple(key.encode() for key in writes), tuple(key.encode() for key in reads), b"", 1, barrier)


def interferes(a: Batch, b: Batch) -> bool:
    """Whether two batches interfere, as docs: protocol/rules, "Words", defines it."""
    if a is NOP or b is NOP:
        return False
    if a.barrier or b.barrier:
        return True
    a_writes, b_writes = set(a.writes), set(b.writes)
    return bool(a_writes & b_writes or a_writes & set(b.reads) or b_writes & set(a.reads))


def random_batch(random: Random, keys: str) -> Batch:
    """A batch that reads and writes some of the keys; sometimes a barrier, or a batch without keys."""
    if random.random() < 0.06:
        return batch(barrier=True)
    chosen = random.sample(keys, min(len(keys), random.choice((0, 1, 1, 1, 2, 3))))
    writes = random.randint(0, len(chosen))
    return batch("".join(chosen[:writes]), "".join(chosen[writes:]))


def random_history(random: Random, n: int, size: int) -> list[Decided]:
    """A history that the protocol may decide, in the order of the proposals.

    Of two interfering instances, at least one names the other; in one row the later names the earlier.
    Dependencies are prefixes, and may name further instances.  Some instances are NOP.
    """
    keys = "abcdefgh"[: random.randint(1, 8)]
    concurrent = random.choice((0.0, 0.2, 0.6))
    superfluous = random.choice((0.0, 0.05, 0.3))
    nops = random.choice((0.0, 0.1, 0.3))
    rows = random.choices(range(n), weights=[random.random() + 0.05 for _ in range(n)], k=size)
    slots = [0] * n
    ids: list[InstanceId] = []
    batches: list[Batch] = []
    vectors: list[list[int]] = []

    def name(x: int, y: int) -> None:
        vectors[x][ids[y].replica] = max(vectors[x][ids[y].replica], ids[y].slot)

    for x, row in enumerate(rows):
        slots[row] += 1
        ids.append(InstanceId(row, slots[row]))
        batches.append(random_batch(random, keys))
        vectors.append([0] * n)
        for y in range(x):
            if not interferes(batches[x], batches[y]) or ids[y].replica == row:
                if (ids[y].replica == row and interferes(batches[x], batches[y])) or (
                    random.random() < superfluous
                ):
                    name(x, y)
            elif random.random() < concurrent:
                name(y, x)
                if random.random() < 0.3:
                    name(x, y)
            else:
                name(x, y)
    return [
        Decided(ids[x], NOP, (0,) * n if random.random() < 0.7 else tuple(vectors[x]))
        if random.random() < nops
        else Decided(ids[x], batches[x], tuple(vectors[x]))
        for x in range(size)
    ]


HOT = batch("k")


def chain(n: int, size: int) -> list[Decided]:
    """Writes of one key, from each row in turn; each names all before it."""
    seen = [0] * n
    history = []
    for count in range(size):
        row = count % n
        deps = tuple(seen)
        seen[row] += 1
        history.append(Decided(InstanceId(row, seen[row]), HOT, deps))
    return history


def cycle(n: int, size: int, everybody: bool = False) -> list[Decided]:
    """A chain in which the first instance, or with `everybody` each, also names the last ones of other
    rows."""
    history = chain(n, size)
    last = tuple(max(deps) for deps in zip(*(_with_itself(decided) for decided in history[-n:])))
    for place in range(size if everybody else 1):
        id, commands, deps = history[place]
        ring = tuple(deps[row] if row == id.replica else last[row] for row in range(n))
        history[place] = Decided(id, commands, ring)
    return history


def _with_itself(decided: Decided) -> Deps:
    return tuple(
        max(dep, decided.id.slot * (row == decided.id.replica)) for row, dep in enumerate(decided.deps)
    )


def backlog(n: int, batches: int, keys: int, key_space: int, random: Random, blocker: str) -> list[Decided]:
    """Batches that write random keys, all of which have to wait for the first instance, 0.1.

    With the blocker "prefix" each instance names it.  With "edge" all write one further key, 1.1 names the
    blocker, and the others name only those before them.
    """
    highest: list[dict[bytes, int]] = [{} for _ in range(n)]
    slots = [1] + [0] * (n - 1)
    history = [Decided(InstanceId(0, 1), HOT, (0,) * n)]
    for count in range(batches):
        row = 1 + count % (n - 1)
        columns = tuple({b"%d" % random.randrange(key_space): None for _ in range(keys)})
        if blocker == "edge":
            columns += (b"hot",)
        deps = [max((seen.get(key, 0) for key in columns), default=0) for seen in highest]
        if blocker == "prefix" or count == 0:
            deps[0] = 1
        slots[row] += 1
        highest[row].update(dict.fromkeys(columns, slots[row]))
        history.append(
            Decided(InstanceId(row, slots[row]), Batch(columns, (), b"", len(columns)), tuple(deps))
        )
    return history


def readers_and_writers(size: int) -> Iterator[Decided]:
    """Row 1 writes and row 2 reads one key in turns.  The first write also names 0.1, which commits last."""
    read = batch(reads="k")
    for slot in range(1, size // 2 + 1):
        yield Decided(InstanceId(1, slot), HOT, (1 if slot == 1 else 0, slot - 1, slot - 1))
        yield Decided(InstanceId(2, slot), read, (0, slot, 0))
    yield Decided(InstanceId(0, 1), HOT, (0, 0, 0))


def barriers(size: int, every: int) -> Iterator[Decided]:
    """Writes of distinct keys in row 1, with a barrier of row 2 after each `every` of them.  All depend on
    0.1, which commits last."""
    barrier = batch(barrier=True)
    fences = 0
    for slot in range(1, size + 1):
        yield Decided(InstanceId(1, slot), Batch((b"%d" % slot,), (), b"", 1), (slot == 1, 0, fences))
        if slot % every == 0:
            yield Decided(InstanceId(2, fences + 1), barrier, (0, slot, fences))
            fences += 1
    yield Decided(InstanceId(0, 1), HOT, (0, 0, 0))


def around_a_stuck_one(size: int) -> Iterator[Decided]:
    """1.1 waits for 0.1, which commits last.  Meanwhile rows 1 and 2 go on with another key."""
    yield Decided(InstanceId(1, 1), HOT, (1, 0, 0))
    other = batch("x")
    for slot in range(1, size // 2 + 1):
        yield Decided(InstanceId(1, slot + 1), other, (0, slot, slot - 1))
        yield Decided(InstanceId(2, slot), other, (0, slot + 1, slot - 1))
    yield Decided(InstanceId(0, 1), HOT, (0, 0, 0))


def peeled(size: int) -> Iterator[Decided]:
    """A long chain of waits that loses its head and gets a new tail again and again.

    In row 1 slot i is named by i + 1 over one key.  Each shares another key with an instance of row 2, which
    needs the same slot of row 0.  The slots of row 0 are committed one by one at the end.
    """
    chained = size // 4
    for slot in range(1, size // 2 + 1):
        yield Decided(InstanceId(2, slot), batch_of(slot), (slot, 0, 0))
        yield Decided(InstanceId(1, slot), batch_of(slot, b"k"), (0, slot - 1, slot))
        if slot > chained:
            yield Decided(InstanceId(0, slot - chained), batch("z"), (0, 0, 0))
    for slot in range(size // 2 - chained + 1, size // 2 + 1):
        yield Decided(InstanceId(0, slot), batch("z"), (0, 0, 0))


def batch_of(number: int, *keys: bytes) -> Batch:
    """A batch that writes the key of this number, and `keys`."""
    return Batch((b"%d" % number, *keys), (), b"", 1)


def shuffled(decided: Iterable[Decided], seed: int = 1) -> list[Decided]:
    """The instances in random order."""
    history = list(decided)
    return Random(seed).sample(history, len(history))
