"""The whole cluster in one process, on a virtual clock, network and disk; one seed decides everything."""
