"""CLIENT TRACKING: clients that keep copies of values are told which of them to forget."""
