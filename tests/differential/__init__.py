"""Random commands to us and to a real Redis or Valkey: `python -m tests.differential`."""
