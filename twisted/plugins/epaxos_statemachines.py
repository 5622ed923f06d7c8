"""The state machines that come with epaxos, as Twisted plugins."""

from __future__ import annotations

from epaxos.statemachines.factories import KeyValueFactory, PrinterFactory

kv = KeyValueFactory()
printer = PrinterFactory()
