"""A client of a cluster, for programs on Twisted (docs: using/client-library).

It asks the nearest replica that answers, goes on at another one when that fails, and sends a write again
without running it twice.
"""

from epaxos.client.client import Client
from epaxos.client.connection import Word
from epaxos.client.errors import ClientError, MayHaveRunError, ReplyError, UnavailableError

__all__ = ["Client", "ClientError", "MayHaveRunError", "ReplyError", "UnavailableError", "Word"]
