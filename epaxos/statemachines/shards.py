"""The name by which state machines of others imported `ShardedDict` before the folder `redis/` existed."""

from epaxos.statemachines.redis.shards import SHARDS, ShardedDict, Snapshot

__all__ = ["SHARDS", "ShardedDict", "Snapshot"]
