"""docs/reference/files.md: what lies in a data folder, in the words of the modules that write it."""

from __future__ import annotations

from importlib import import_module

from epaxos.storage.leveldb.records import (
    FORMAT,
    FORMAT_OF_CHANGES,
    FORMAT_OF_EPOCHS,
    FORMAT_OF_VERSIONS,
)
from tests.generated.page import docstring_of, page

__all__ = ["files"]

SECTIONS = {
    "The folder": "epaxos.storage.folder",
    "Records in LevelDB": "epaxos.storage.leveldb.records",
    "The epoch": "epaxos.storage.leveldb.epoch_record",
    "The files of the state": "epaxos.storage.state.files",
    "Backups": "epaxos.storage.backup.folder",
    "What a backup says": "epaxos.storage.backup.manifest",
    "A state that is being taken": "epaxos.storage.state.incoming",
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
        f"This is storage format {FORMAT}, or {FORMAT_OF_EPOCHS} once the folder has left "
        f"[epoch 0](../internals/protocol/epochs.md), or {FORMAT_OF_CHANGES} once "
        "[the members](../operating/members.md) are not the first ones any more, and in a folder that waits "
        "to join. A folder of another format is refused at the start. "
        f"Versions that know of no epochs refuse format {FORMAT_OF_EPOCHS}, so after the first turn there is "
        f"no way back to them. Versions that know of no changes of the members refuse format "
        f"{FORMAT_OF_CHANGES}. It is format {FORMAT_OF_VERSIONS} in a cluster whose "
        "[version](../operating/upgrade.md) is not the first one, which programs of that one refuse. "
        "The records `uid` and `founded` "
        "([the first start](../operating/run.md#the-first-start)) are new in format 3; "
        "versions before ignore them, and a folder without a uid gets one when it is opened. All files "
        "of a folder belong together: nothing in it may be removed, copied or put back alone, but for "
        "`*.torn`, `incoming/` and single folders in `backups/`.",
        *parts,
    )
