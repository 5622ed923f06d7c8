"""`epaxosctl`: what an operator asks a running cluster, or the folder of a stopped replica.

docs: operating/epaxosctl says how it is used.  It is a client like any other: sockets that block, with a
deadline for every answer.  Nothing here is part of the process of a replica.
"""
