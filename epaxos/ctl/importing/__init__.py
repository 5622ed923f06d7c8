"""What `epaxosctl import` does: the source, what was done already, and the copying."""
