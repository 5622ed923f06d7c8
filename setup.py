"""What setup.cfg cannot say: with EPAXOS_COMPILED=1 in the environment mypyc compiles the modules that do a
replica's work.  Otherwise nothing is compiled, and the same modules run as they are."""

from __future__ import annotations

import os
from glob import glob
from typing import Any

from setuptools import setup

BESIDE_THE_CORE = """
    net/eager_write net/shared_reader
    node/alarm node/applier node/backoff node/checkpoints node/in_flight node/intake
    node/journal node/next_turn node/node node/outbox node/pacing node/reads node/separation node/submissions
    resp/connection resp/hiredis_parser resp/holding resp/parser resp/pipeline resp/session resp/shapes
    resp/sorter resp/span resp/traffic resp/turn
    service/timeouts
    statemachines/columns statemachines/redis/batches statemachines/redis/machine statemachines/redis/state
    storage/gil storage/memory
    storage/leveldb/pace storage/leveldb/records storage/leveldb/sequence storage/leveldb/shared
    storage/leveldb/store storage/leveldb/thread storage/leveldb/writer
    transport/encode_turn transport/incoming transport/link transport/outgoing transport/tcp
    wire/batch wire/checks wire/codec wire/frames wire/proposing wire/recovering wire/strangers wire/upkeep
"""
CORE = ["epaxos/protocol/**/*.py", "epaxos/execution/*.py"]
LEFT_OUT = ("__init__.py", "values/timing.py")
"""Timing goes to other processes of the simulator, and a compiled frozen dataclass cannot be unpickled."""

LIBRARY = "epaxos"
"""All go into one, `epaxos__mypyc`.  Had it no name, mypyc would take for granted that it sees the whole
program, and refuse what somebody derives from a compiled class where that class is expected."""


def extensions() -> list[Any]:
    """Raises ImportError where the extra `compiled` is not installed."""
    if os.environ.get("EPAXOS_COMPILED") != "1":
        return []
    from mypyc.build import mypycify

    core = [path for pattern in CORE for path in glob(pattern, recursive=True) if not path.endswith(LEFT_OUT)]
    paths = sorted([*core, *(f"epaxos/{name}.py" for name in BESIDE_THE_CORE.split())])
    options = ["--follow-imports=silent", *paths]
    return list(mypycify(options, opt_level="2", debug_level="0", separate=[(paths, LIBRARY)]))


setup(ext_modules=extensions())
