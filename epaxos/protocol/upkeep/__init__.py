"""The upkeep of a replica: heartbeats, catching up, forgetting, and taking over from failed replicas.

Nothing here decides anything: it asks (Fetch), starts recoveries, and forgets what every member has
executed.
"""
