"""Exactly once: sessions of clients around any state machine (docs: using/exactly-once)."""
