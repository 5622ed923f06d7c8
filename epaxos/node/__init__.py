"""The replica at work: the core, the executor and the state machine between clients, disk and peers."""
