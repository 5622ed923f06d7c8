"""`python -m epaxos.ctl` is `epaxosctl`."""

from epaxos.ctl.main import main

main()
