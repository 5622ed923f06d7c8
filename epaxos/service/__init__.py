"""The replica as a Twisted service and a process."""
