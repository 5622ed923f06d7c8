"""The durable memory of a replica in LevelDB."""
