"""Which binding of LevelDB is taken."""

from __future__ import annotations

from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from epaxos.storage.leveldb import engine


class EngineTests(SynchronousTestCase):
    def test_the_binding_that_is_there(self) -> None:
        there: set[str] = set()

        def import_module(name: str) -> SimpleNamespace:
            if name not in there:
                raise ModuleNotFoundError(name)
            return SimpleNamespace(__name__=name)

        self.patch(engine, "import_module", import_module)
        both = ("plyvel", "plyvel_next")
        for names, version, expected in (
            (both, (3, 11), "plyvel"),
            (both, (3, 12), "plyvel_next"),
            (both, (3, 14), "plyvel_next"),
            (both[:1], (3, 13), "plyvel"),
            (both[1:], (3, 10), "plyvel_next"),
        ):
            there.clear()
            there.update(names)
            self.assertEqual(engine.find(version).__name__, expected)
        there.clear()
        with self.assertRaises(ModuleNotFoundError):
            engine.find((3, 13))

    def test_what_it_offers(self) -> None:
        self.assertIn(engine.NAME, ("plyvel", "plyvel_next"))
        for error in (engine.CorruptionError, engine.IOError):
            self.assertTrue(issubclass(error, engine.Error))
