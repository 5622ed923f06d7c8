"""What decides whether a run was right."""
