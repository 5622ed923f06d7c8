"""A whole cluster in one process, on a virtual clock, network and disk, decided by one seed."""
