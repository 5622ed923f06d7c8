"""The settings of a replica that change while it runs, and how they get into the configuration file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from zope.interface import implementer

from epaxos.config.file import load
from epaxos.config.live import NAMES, changed, plain, read, values_of
from epaxos.config.model import ConfigError
from epaxos.config.rewrite import rewritten
from epaxos.interfaces import Refusal
from epaxos.resp.interfaces import NEEDS_RESTART, ILiveSettings, SettingError
from epaxos.service.followed import Followed

__all__ = ["LiveSettings", "write_into"]

_log = Logger()


@implementer(ILiveSettings)
class LiveSettings:
    """The settings of replica `id`.  `reactor`: runs what writes the file in a thread."""

    def __init__(self, followed: Followed, id: int, reactor: Any) -> None:
        self._followed = followed
        self._id = id
        self._reactor = reactor
        self._was_set: set[str] = set()
        self._is_writing = False

    def shown(self) -> Mapping[str, str]:
        """See ILiveSettings."""
        return values_of(self._followed.config, self._id)

    def read(self, given: Mapping[str, str]) -> Any:
        """See ILiveSettings."""
        found: dict[str, Any] = {}
        for name, text in given.items():
            named = NAMES.get(name)
            if named is None or not named.setting.is_live:
                raise SettingError(name, NEEDS_RESTART)
            try:
                found[name] = read(named.setting.kind, text)
                self._followed.prepare(changed(self._followed.config, {name: found[name]}))
            except (ValueError, ConfigError) as why:
                raise SettingError(name, str(why)) from None
        return found

    def take(self, change: Any) -> None:
        """See ILiveSettings."""
        self._followed.take(changed(self._followed.config, change))
        self._was_set.update(change)
        for name, value in change.items():
            shown = plain(NAMES[name].setting.kind, value)
            _log.info("a client has set {name} to {value}", name=name, value=shown)

    def rewrite(self) -> Deferred[None]:
        """See ILiveSettings."""
        rewrite: Any = self._rewrite  # in a turn of its own, so that it can be cancelled before it begins
        written: Deferred[None] = deferLater(self._reactor, 0, rewrite)
        return written

    def _rewrite(self) -> Deferred[None]:
        if self._is_writing:
            raise Refusal("the file is being written already")
        values = {
            (named.section, named.key): named.setting.kind.show(
                getattr(getattr(self._followed.config, named.section), named.key)
            )
            for name in sorted(self._was_set)
            for named in (NAMES[name],)
        }
        self._is_writing = True
        pool = self._reactor.getThreadPool()
        written: Deferred[None] = deferToThreadPool(
            self._reactor, pool, partial(write_into, self._followed.config.path, values)
        )
        return written.addBoth(self._on_written)

    def _on_written(self, outcome: Any) -> Any:
        self._is_writing = False
        return outcome


def write_into(path: Path, values: Mapping[tuple[str, str], str]) -> None:
    """Write these values, each by its section and key, into the configuration file, at once or not at all.

    Raises Refusal when it cannot be read or written, or would be of no use.  To be run in a thread.
    """
    target = path.resolve()
    kept: Path | None = None
    try:
        text = target.read_bytes().decode()
        with NamedTemporaryFile(
            "wb", dir=target.parent, prefix=f".{target.name}.", suffix=".new", delete=False
        ) as file:
            kept = Path(file.name)
            os.fchmod(file.fileno(), target.stat().st_mode & 0o7777)
            file.write(rewritten(text, values).encode())
            file.flush()
            os.fsync(file.fileno())
        load(kept, has_founders=False)
        os.replace(kept, target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        _remove(kept)
        raise Refusal(f"{target}: {error.strerror}") from None
    except (ConfigError, UnicodeDecodeError) as error:
        _remove(kept)
        raise Refusal(f"{target} would be of no use: {error}") from None


def _remove(kept: Path | None) -> None:
    if kept is not None:
        kept.unlink(missing_ok=True)
