"""A replica inside one's own program (docs: using/embedded).

`from epaxos.embedded import MayHaveRun, NotRun, Replica, ReplicaFailed, cluster`
"""

from epaxos.embedded.cluster import cluster
from epaxos.embedded.errors import MayHaveRun, NotRun, ReplicaFailed
from epaxos.embedded.replica import Replica

__all__ = ["MayHaveRun", "NotRun", "Replica", "ReplicaFailed", "cluster"]
