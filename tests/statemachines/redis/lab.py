"""A client of a store without a cluster."""

from __future__ import annotations

from epaxos.interfaces import CommandError, Ready, Reply
from epaxos.protocol.values.ids import InstanceId
from epaxos.statemachines.redis.machine import KeyValueStore

ID = InstanceId(0, 1)


def words(text: str) -> list[bytes]:
    return [word.encode() for word in text.split()]


class Client:
    """Runs commands on a store, each as a batch of its own."""

    def __init__(self) -> None:
        self.store = KeyValueStore()

    def __call__(self, text: str) -> object:
        """The reply; an error as its text."""
        return self.run([words(text)])[0]

    def run(self, commands: list[list[bytes]]) -> list[object]:
        try:
            for command in commands:
                self.store.check(command)
        except CommandError as error:
            return [str(error)]
        batch = self.store.batch(commands)
        replies: list[Reply] = list(self.store.apply([Ready(ID, batch, True)])[0])
        return [str(reply) if isinstance(reply, CommandError) else reply for reply in replies]
