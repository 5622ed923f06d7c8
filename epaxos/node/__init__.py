"""The replica at work: between clients, disk, other replicas and the state machine.

`Node` takes a turn whenever something has arrived.  Commands pass through its components in one
direction; an arrow says who calls whom::

    clients ──submit──▶ Intake ◀──────take────── InFlight ◀──may I?── Pacing
                        (queue, portions,         │  ▲  (bundles: proposal to replies)
                         Separation)       propose│  │
                                                  ▼  │ on_applied, is_wanted
    other ──messages──▶ Node ──▶ Replica ──▶ Output  │
    replicas            (the      (core)       │     │
                         turn)                 ▼     │
                          │◀───────────────────┘     │
          ┌───────────────┼──────────────────┐       │
          ▼               ▼                  ▼       │
       Journal         Outbox       IExecutor ──▶ Applier ──▶ IStepwise (state machine)
       (disk;          (messages;               (in steps) ──▶ Reads (PendingRead)
        DiskWatch)      delayed Commits)             └──────▶ Checkpoints ──▶ disk

    Alarm     ──wakes──▶ Node, when nothing arrives
    Refusals  ──answers──▶ clients that get no reply: overdue, disk hangs, replica stops
    Status    ──reads──▶ Replica, Intake, Reads, Applier, and the digest of the state

What goes upwards is a callable that the component was made with: `Journal` and `Checkpoints` say
what is durable, `Applier` that a batch cannot be applied.  One exception goes backwards: commands whose
instance became NOP return from InFlight to the front of the Intake.
"""
