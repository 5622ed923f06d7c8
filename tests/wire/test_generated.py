"""The committed protobuf module is what `wire.proto` generates, and loads with every supported runtime."""

from __future__ import annotations

import re
from pathlib import Path

from grpc_tools import protoc
from twisted.trial.unittest import SynchronousTestCase

from epaxos.wire import wire_pb2

HERE = Path(wire_pb2.__file__).resolve().parent
ROOT = HERE.parent.parent
RUNTIME_MIN = (6, 31)  # of install_requires in setup.cfg


def without_version(text: str) -> str:
    """Generated text, without what differs between versions of the generator only."""
    text = re.sub(r"(# Protobuf Python Version: ).*", r"\1", text)
    text = re.sub(r"(Domain\.PUBLIC,\n)(    \d+,\n){3}", r"\1", text)
    return text.replace("_Optional[bool] = ...", "bool = ...")


class GeneratedModuleTests(SynchronousTestCase):
    def test_is_current(self) -> None:
        out = Path(self.mktemp())
        out.mkdir(parents=True)
        proto = (HERE / "wire.proto").relative_to(ROOT)
        arguments = ["protoc", f"-I{ROOT}", f"--python_out={out}", f"--pyi_out={out}", str(ROOT / proto)]
        self.assertEqual(protoc.main(arguments), 0)
        for suffix in ("_pb2.py", "_pb2.pyi"):
            name = proto.with_name(proto.stem + suffix)
            generated = (out / name).read_text(encoding="utf-8")
            committed = (ROOT / name).read_text(encoding="utf-8")
            self.assertEqual(
                without_version(committed), without_version(generated), f"{name} is stale: `make proto`"
            )

    def test_loads_with_the_oldest_supported_runtime(self) -> None:
        """A runtime refuses code of a generator that is newer than itself."""
        text = (HERE / "wire_pb2.py").read_text(encoding="utf-8")
        found = re.search(r"# Protobuf Python Version: (\d+)\.(\d+)", text)
        assert found is not None
        self.assertLessEqual(tuple(map(int, found.groups())), RUNTIME_MIN)
