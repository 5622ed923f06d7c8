"""The manifest as bytes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.storage.state.manifest import Manifest, StateFile, decode_manifest, encode_manifest


class ManifestTests(SynchronousTestCase):
    def test_there_and_back(self) -> None:
        base, first, second = (
            StateFile(3, 100, 7),
            StateFile(3, 2**63 - 1, 2**32 - 1),
            StateFile(2**63 - 1, 1, 0),
        )
        for manifest in (
            Manifest(StateFile(0)),
            Manifest(base),
            Manifest(StateFile(2), (first, second)),
            Manifest(base, (first, second)),
        ):
            data = encode_manifest(manifest)
            self.assertEqual(decode_manifest(data), manifest)
            self.assertRaises(ValueError, decode_manifest, data[:-1])
        self.assertRaises(ValueError, decode_manifest, b"")
        for impossible in (
            Manifest(StateFile(4), (first,)),
            Manifest(base, (second, first)),
            Manifest(base, (first, first)),
            Manifest(base, (StateFile(3),)),
            Manifest(StateFile(2**63)),
            Manifest(StateFile(0, 2**63)),
            Manifest(base, (first, StateFile(2**63, 1))),
        ):
            self.assertRaises(ValueError, decode_manifest, encode_manifest(impossible))
