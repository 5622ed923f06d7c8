"""State machines in a dozen lines: a class with tables, and methods that are commands.

`from epaxos.machines import Machine, Refused, Table, command` (docs: using/state-machines).
"""

from epaxos.machines.alone import Alone
from epaxos.machines.commands import EVERYTHING, command
from epaxos.machines.factory import MachineFactory
from epaxos.machines.machine import Machine, Refused
from epaxos.machines.tables import Table

__all__ = ["EVERYTHING", "Alone", "Machine", "MachineFactory", "Refused", "Table", "command"]
