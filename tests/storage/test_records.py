"""The record format: what goes in comes out, what is not ours is refused."""

from __future__ import annotations

import itertools

from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Identity
from epaxos.protocol.values.epoch import Epoch
from epaxos.protocol.values.ids import InstanceId
from epaxos.protocol.values.instance import InstanceRecord, Value
from epaxos.protocol.values.messages import Batch, Phase
from epaxos.storage.leveldb.records import (
    RecordFormat,
    check_founders,
    check_identity,
    decode_format,
    decode_identity,
    decode_number,
    encode_identity,
    encode_number,
)

IDENTITY = Identity("blue", 2, Epoch.first(5), "kv")


class RecordTests(SynchronousTestCase):
    def test_records(self) -> None:
        """Every phase and value, with each kind of init_deps, for small and large clusters."""
        for n in (1, 2, 3, 7):
            format = RecordFormat(Epoch.first(n))
            deps = tuple(range(10, 10 + n))
            for phase, value, init_deps, ballot, named in itertools.product(
                Phase, Value, (None, deps, (0,) * n), (0, 5, 2**63 - 1), ((), tuple(range(n - 1)))
            ):
                id = InstanceId(n - 1, 2**63 - 1)
                if phase > Phase.INITIAL and value is Value.UNKNOWN:
                    continue
                if phase is Phase.PREACCEPTED and (value is Value.NOP or init_deps is None):
                    continue
                abal = ballot // 2 if phase >= Phase.ACCEPTED else 0
                record = InstanceRecord(id, phase, ballot, abal, value, deps, init_deps, named)
                found = format.decode_record(id, format.encode_record(record))
                self.assertEqual(found, record)
                self.assertIs(type(found.phase), Phase)
                self.assertIs(type(found.value), Value)

    def test_damaged_records(self) -> None:
        format, id = RecordFormat(Epoch.first(3)), InstanceId(0, 1)
        good = format.encode_record(InstanceRecord(id, Phase.ACCEPTED, 1, 1, Value.NOP, (0, 2, 3), None))
        for data in (
            b"",
            good[:-1],
            good + b"\0",
            b"\x09" + good[1:],
            good[:1] + b"\x03" + good[2:],
            good[:2] + b"\x02" + good[3:],  # says that init_deps follow
            good[:3] + b"\x08" + good[4:],  # replica 3 of three was named
            good + b"\0" * 24,  # they follow, but it does not say so
            RecordFormat(Epoch.first(5)).encode_record(
                InstanceRecord(id, Phase.ACCEPTED, 1, 1, Value.NOP, (1, 2, 3, 4, 5), None)
            ),
        ):
            with self.assertRaisesRegex(ValueError, "instance 0.1"):
                format.decode_record(id, data)

    def test_impossible_records(self) -> None:
        """What no instance becomes is damage: nobody behind has to ask again."""
        format, id, last = RecordFormat(Epoch.first(3)), InstanceId(0, 7), 2**63 - 1
        deps = (6, last, 3)
        good = InstanceRecord(id, Phase.ACCEPTED, 4, 4, Value.PROPOSED, deps, deps)
        format.decode_record(id, format.encode_record(good))
        for bad in (
            good._replace(abal=5),
            good._replace(bal=2**63),
            good._replace(deps=(7, 0, 0)),
            good._replace(deps=(0, 0, 2**63)),
            good._replace(init_deps=(7, 0, 0)),
            good._replace(init_deps=(0, 2**64 - 1, 0)),
            good._replace(value=Value.UNKNOWN),
            good._replace(phase=Phase.COMMITTED, value=Value.UNKNOWN),
            good._replace(phase=Phase.PREACCEPTED),
            good._replace(phase=Phase.PREACCEPTED, abal=0, value=Value.NOP),
            good._replace(phase=Phase.PREACCEPTED, abal=0, init_deps=None),
            good._replace(phase=Phase.INITIAL),
        ):
            with self.assertRaisesRegex(ValueError, "instance 0.7"):
                format.decode_record(id, format.encode_record(bad))

    def test_impossible_numbers(self) -> None:
        format = RecordFormat(Epoch.first(3))
        self.assertRaises(ValueError, decode_number, b"\x80" + bytes(7))
        self.assertRaises(ValueError, format.decode_deps, format.encode_deps((0, 2**63, 0)))
        for beyond in (InstanceId(0, 0), InstanceId(0, 2**63), InstanceId(3, 1)):
            data = format.encode_checkpoint((0, 0, 0), [beyond])
            self.assertRaises(ValueError, format.decode_checkpoint, data)

    def test_keys(self) -> None:
        """They are ordered as the ids are, each batch right behind its record."""
        format = RecordFormat(Epoch.first(3))
        ids = [InstanceId(r, s) for r in range(3) for s in (1, 2, 255, 256, 2**40)]
        keys = [key for id in ids for key in (format.record_key(id), format.batch_key(id))]
        self.assertEqual(keys, sorted(keys))
        self.assertEqual(
            [format.decode_instance_key(key) for key in keys],
            [(id, is_batch) for id in ids for is_batch in (False, True)],
        )
        for bad in (
            keys[0][:-1],
            format.record_key(InstanceId(3, 1)),
            format.record_key(InstanceId(0, 0)),
            keys[0][:-1] + b"\x02",
        ):
            self.assertRaises(ValueError, format.decode_instance_key, bad)

    def test_checkpoints(self) -> None:
        format = RecordFormat(Epoch.first(2))
        for executed, beyond in (
            ((0, 0), ()),
            ((5, 2**50), (InstanceId(0, 7), InstanceId(1, 2**50 + 3))),
        ):
            data = format.encode_checkpoint(executed, beyond)
            self.assertEqual(format.decode_checkpoint(data), (executed, beyond))
            self.assertRaises(ValueError, format.decode_checkpoint, data[:-1])
        self.assertRaises(
            ValueError, format.decode_checkpoint, format.encode_checkpoint((0, 0), [InstanceId(2, 1)])
        )

    def test_batches(self) -> None:
        format, id = RecordFormat(Epoch.first(3)), InstanceId(1, 9)
        batch = Batch((b"a", b""), (b"\xff",), b"payload", 3, True)
        self.assertEqual(format.decode_batch(id, format.encode_batch(batch)), batch)
        with self.assertRaisesRegex(ValueError, r"the batch of instance 1\.9 is damaged"):
            format.decode_batch(id, b"\xff\xff\xff")

    def test_numbers_and_vectors(self) -> None:
        self.assertEqual(decode_number(encode_number(2**63 - 1)), 2**63 - 1)
        self.assertRaises(ValueError, decode_number, b"1234567")
        format = RecordFormat(Epoch.first(3))
        self.assertEqual(format.decode_deps(format.encode_deps((1, 2, 3))), (1, 2, 3))
        self.assertRaises(ValueError, format.decode_deps, b"12345678")

    def test_identity(self) -> None:
        self.assertEqual(decode_identity(encode_identity(IDENTITY)), IDENTITY)
        check_identity(IDENTITY, IDENTITY)
        for data, text in (
            (b"", "damaged"),
            (b"7", "damaged"),
            (b"{}", "damaged"),
            (b'["format"]', "damaged"),
            (b"[" * 100_000, "damaged"),
            (b'{"format": 3, "cluster": "blue"}', "damaged"),
            (encode_identity(IDENTITY).replace(b'"format": 3', b'"format": 99'), "format 99"),
        ):
            with self.assertRaisesRegex(ValueError, text):
                decode_identity(data)

    def test_other_identity(self) -> None:
        for change, text in (
            ({"cluster": "green"}, "it belongs to cluster 'blue', not to 'green'"),
            ({"replica": 0}, "it belongs to replica 2, not to replica 0"),
            ({"state_machine": "printer"}, "it holds the state of the state machine 'kv', not of 'printer'"),
        ):
            with self.assertRaises(ValueError) as caught:
                check_identity(IDENTITY, IDENTITY._replace(**change))
            self.assertEqual(str(caught.exception), text)

    def test_other_first_members(self) -> None:
        """As long as a folder has not left epoch 0, it serves for those that it was made for."""
        three, five, joins = Epoch.first(3), Epoch.first(5), Epoch.none()
        for held, wanted, is_founded, text in (
            (three, three, False, ""),
            (three, three, True, ""),
            (joins, joins, False, ""),
            (five, three, True, "it belongs to a cluster of 5, not of 3"),
            (joins, three, False, "it waits to join a cluster: start the replica with --join"),
            (three, joins, True, ""),  # whose list is known is not told to join once more
            (
                three,
                joins,
                False,
                "it is that of a first member of a cluster of 3: start the replica without --join",
            ),
        ):
            if text:
                error = self.assertRaises(ValueError, check_founders, held, wanted, is_founded)
                self.assertEqual(str(error), text)
            else:
                check_founders(held, wanted, is_founded)

    def test_the_identity_of_one_that_joins(self) -> None:
        """Versions that know of no joining refuse it."""
        identity = IDENTITY._replace(epoch=Epoch.none())
        data = encode_identity(identity)
        self.assertEqual(decode_identity(data), identity)
        self.assertEqual(decode_format(data), 5)
