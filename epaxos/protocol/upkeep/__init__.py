"""Catching up with other replicas, and forgetting what every member has executed."""
