"""The judges: they decide whether a run was right."""
