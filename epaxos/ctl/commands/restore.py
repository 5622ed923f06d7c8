"""`epaxosctl restore`: the data folders of a new cluster, from a backup or from what is left of one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from epaxos.config.kinds import NAME
from epaxos.ctl.errors import CtlError
from epaxos.ctl.options import Command, Settings
from epaxos.ctl.output import Counted, print_fields, print_json, progress, size
from epaxos.interfaces import StoreError
from epaxos.protocol.values.membership import Membership
from epaxos.storage.leveldb.restoring import Source, open_source, restore_folders

__all__ = ["command"]

HELP = """
Make the data folders of a new cluster.

SOURCE is a backup, or the data folder of a stopped replica, where the majority of a cluster is lost; of
several, the newest state is taken.  The new cluster begins with that state, in epoch 0, and with a uuid of
its own.  Nothing of the old cluster is changed.

Give --data once for each member, 0 first.  All folders have to be made at once.
"""


@click.command("restore", Command, help=HELP)
@click.option(
    *("--from", "sources"),
    type=click.Path(path_type=Path, exists=True),
    metavar="SOURCE",
    multiple=True,
    required=True,
    help="A backup, or the data folder of a stopped replica.  May be given several times.",
)
@click.option("--name", metavar="NAME", required=True, help="The name of the new cluster.")
@click.option(
    *("--data", "folders"),
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    multiple=True,
    required=True,
    help="A data folder to make, which is missing or empty.  Once for each member.",
)
@click.option("--older", is_flag=True, help="Take the state of a replica that others had left behind, too.")
@click.pass_obj
def command(
    settings: Settings, sources: Sequence[Path], name: str, folders: Sequence[Path], older: bool
) -> None:
    """Choose the newest state, make the folders, and say what they hold and what may be missing."""
    _check(name, folders)
    try:
        with ExitStack() as stack:
            found = [stack.enter_context(open_source(path)) for path in sources]
            best = _best(found, older)
            with progress(f"restoring {best.path}") as say:
                copied = Counted(f"restoring {best.path}", best.bytes * len(folders), say)
                membership = restore_folders(best, name, folders, copied.add)
    except StoreError as error:
        raise CtlError(str(error)) from None
    if settings.json:
        print_json(_document(found, best, membership, name, folders))
    else:
        _print(found, best, membership, name, folders)


def _check(name: str, folders: Sequence[Path]) -> None:
    try:
        NAME.read(name)
    except ValueError as why:
        raise CtlError(f"--name {name}: {why}") from None
    if len({path.absolute() for path in folders}) < len(folders):
        raise CtlError("a folder is named twice by --data")


def _best(found: Sequence[Source], older: bool) -> Source:
    """The source with the newest state."""
    kinds = {(source.cluster, source.state_machine) for source in found}
    if len(kinds) > 1:
        raise CtlError("the sources are of different clusters: " + ", ".join(map(_described, found)))
    best = max(found, key=lambda source: (source.epoch, source.executed))
    if best.folder is not None and best.folder.incoming_bytes is not None and not older:
        raise CtlError(
            f"{best.path} is older than what its cluster had, because its replica was taking the state of"
            " another one: name another folder, or take this one with --older"
        )
    return best


def _described(source: Source) -> str:
    return f"{source.path} (cluster {source.cluster!r}, state machine {source.state_machine!r})"


def _missing(source: Source) -> str:
    if source.backup is not None:
        return f"everything that was acknowledged after the backup was made, at {source.backup.made}"
    text = f"what was acknowledged after the last checkpoint of {source.path}, or never reached that replica"
    unexecuted = 0 if source.folder is None else source.folder.unexecuted
    if unexecuted:
        text += f"; it holds {unexecuted} instances that its state lacks"
    return text


def _document(
    found: Sequence[Source], best: Source, membership: Membership, name: str, folders: Sequence[Path]
) -> dict[str, Any]:
    return {
        "cluster": name,
        "uuid": f"{membership.uuid:032x}",
        "state_machine": best.state_machine,
        "members": [
            {"number": member.number, "uid": f"{member.uid:016x}", "data": str(folder.absolute())}
            for member, folder in zip(membership.members, folders)
        ],
        "source": str(best.path),
        "sources": [
            {"path": str(each.path), "epoch": each.epoch, "executed": each.executed, "bytes": each.bytes}
            for each in found
        ],
        "bytes": best.bytes,
        "digest": None if best.backup is None else best.backup.digest,
        "missing": _missing(best),
    }


def _print(
    found: Sequence[Source], best: Source, membership: Membership, name: str, folders: Sequence[Path]
) -> None:
    fields = [
        ("source", f"{each.path}: epoch {each.epoch}, {each.executed} instances of it, {size(each.bytes)}")
        for each in found
    ]
    fields += [
        ("taken", str(best.path)),
        ("digest", "not known" if best.backup is None else best.backup.digest),
        ("may be missing", _missing(best)),
        ("new cluster", f"{name}, uuid {membership.uuid:032x}"),
    ]
    print_fields(fields)
    click.echo(f"\nFor its configuration:\n\n[cluster]\nname = {name}\nstate_machine = {best.state_machine}")
    for number, folder in enumerate(folders):
        click.echo(f"\n[replica {number}]\ndata = {folder.absolute()}")
