"""Golden stories: text files of events and of what the replicas do then, to be read beside the paper.

A story (`*.txt` in this folder) is a sequence of lines:

    # a comment: which rule, and where the papers and the docs have it
    propose 0 SET x a
        0 -> 1 2  PreAccept 0.1 "SET x a" deps={} fast_quorum=1
    deliver PreAccept 0->1
        1 <- 0  PreAccept 0.1 "SET x a" deps={} fast_quorum=1
        1 writes 0.1 preaccepted "SET x a" deps={}
        1 => 0  PreAcceptOK 0.1 deps={}

People write the comments, blank lines and commands.  The indented lines below a command are what came
out of it: `python -m tests.protocol.stories` writes them anew, and `test_stories.py` compares them.

One real core runs for each replica, with the real executor and a store of strings.  Nothing happens
unless a command says so: no message arrives, and no time passes.

Commands.  R and S are replicas, ID is an instance such as 0.1.  SELECTION is `[KIND] R->S [ID]`, where
`*` stands for any replica: `PreAccept 0->1`, `0->*`, `Commit *->2 0.1`.

    replicas N [equal] [slots=K]  The first command: a cluster of N.  `equal`: equal answers make the
                                  fast path, as in EPaxos*, also where this project would name a fast
                                  quorum.  `slots`: how many slots a replica reserves at a time (256).
    propose R COMMAND             COMMAND is `SET key value`, `GET key`, or `FLUSH`, which interferes
                                  with everything.
    read R KEY                    A linearizable read, which needs no instance.
    deliver SELECTION             What was sent arrives, in the order of sending.
    drop SELECTION                What was sent is lost.
    redeliver SELECTION           The latest such message that arrived arrives once more.
    settle                        Everything arrives, and what is sent then, until nothing is under way.
    timeout R ID                  Every wait of R for ID ends: its leader asks again, others recover it.
    disconnect R S                R loses all connections with S, and therefore suspects S.
    tick SECONDS                  Time passes at every replica that is up.
    disk R stops                  From now on nothing that R writes becomes durable,
    disk R goes on                until now: all that R wrote becomes durable.
    checkpoint R                  What R has executed becomes durable.
    crash R                       R loses what is not durable, and what is on its way to R.
    restart R                     R starts from its disk.
    state ID                      What each replica that is up knows of ID.

The lines below a command:

    0 -> 1 2  MESSAGE   Replica 0 sends a message that promises nothing.
    0 => 1 2  MESSAGE   It sends a message that had to wait until the writes above were durable.
    1 <- 0  MESSAGE     The message arrives at replica 1.
    deps={1.2 2.1}      The instances of row 1 up to slot 2, and those of row 2 up to slot 1.
    bal, abal           The ballots promised and accepted; not shown when 0.
"""
