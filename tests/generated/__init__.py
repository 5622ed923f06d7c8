"""Pages of docs/reference that are made from the code: `python -m tests.generated` writes them.

A page that is stale fails `test_generated.py`, as does a command, an error or a status field that no sentence
explains yet.
"""
