"""docs/reference/files.md: what lies in a data folder, in the words of the modules that write it."""

from __future__ import annotations

from importlib import import_module

from epaxos.storage.leveldb.records import FORMAT
from tests.generated.page import docstring_of, page

__all__ = ["files"]

SECTIONS = {
    "The folder": "epaxos.storage.folder",
    "Records in LevelDB": "epaxos.storage.leveldb.records",
    "The files of the state": "epaxos.storage.state.files",
    "What they are made of": "epaxos.storage.state.pieces",
    "Which parts of them count": "epaxos.storage.state.manifest",
    "The numbers of writes": "epaxos.storage.leveldb.sequence",
    "Torn logs": "epaxos.storage.leveldb.torn_log",
}


def files() -> str:
    """The page."""
    parts = [f"## {title}\n\n{docstring_of(import_module(name))}" for title, name in SECTIONS.items()]
    return page(
        "Files on disk",
        "the docstrings of epaxos/storage",
        f"This is storage format {FORMAT}. A folder of another format is refused at the start. The records "
        "`uid` and `founded` ([the first start](../operating/run.md#the-first-start)) are new in it; "
        "versions before ignore them, and a folder without a uid gets one when it is opened. All files "
        f"of a folder "
        "belong together: nothing in it may be removed, copied or put back alone, but for `*.torn`.",
        *parts,
    )
