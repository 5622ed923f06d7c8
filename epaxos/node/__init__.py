"""The replica at work: between clients, disk, other replicas and the state machine.

`Node` takes a turn whenever something has arrived.  An arrow points from the caller to the called::

     clients                                              other replicas
        │ submit                                             │ messages
        ▼                                                    ▼
     Intake ◀─take── InFlight ◀─propose──────────────────── Node ──receive, tick──▶ Replica
     (Separation)     │  │  ▲                           (the turn) ◀────Output───── (the core)
                      │  │  │                                │
      Pacing ◀────────┘  │  │                                ├──write──▶ Journal ──▶ IStore
      (is it time?)      │  │                                │           (DiskWatch)
                         │  │                                ├──flush──▶ Outbox ───▶ ITransport
      Reads ◀───start────┘  │                                │           (delays Commits)
      (PendingRead)         │                                ├──commit─▶ IExecutor
        ▲                   │                                │             ▲
        │                   │                                └──run────▶ Applier ──▶ IStateMachine
        │                   └─────is_wanted, on_applied──────────────────┤│          (in steps)
        └─────────────────────────find_ready, on_read────────────────────┘│
      clients ◀──answer── Submission ◀── Bundle ◀── InFlight, Reads      └──▶ Checkpoints ──▶ IStore

    Alarm     wakes Node when nothing arrives: the one timer
    Refusals  answers clients that get no replies: overdue, refused, or of a replica that stops
    Epochs    ends the epoch and begins the next: Applier says when, and all others move to a new
              Replica and IExecutor.  ClosedEpoch answers those who are still in the epoch before
    Status    reads Replica, Intake, Reads and Applier for `GET /status`, and adds the digest
    restart   restores the replica from its store, once, before the first turn

Commands pass in one direction.  A component calls back only through a callable that it was made
with: Journal and Checkpoints say what is durable, Alarm that the time has come, Applier that a
batch cannot be applied.  Only commands whose instance became NOP go backwards, from InFlight to the
front of the Intake.
"""
