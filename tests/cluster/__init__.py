"""Tests with real replicas in real processes."""

import signal

# A shell starts its background jobs with SIGINT ignored, and every process that the tests start would
# inherit that: a replica or a launcher would then ignore the Ctrl-C that a test sends.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
