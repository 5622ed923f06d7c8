"""The payload of DUMP and RESTORE, as Redis 7 makes it: bytes to elements and back, pure and in steps."""
