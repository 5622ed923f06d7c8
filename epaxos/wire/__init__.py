"""Bytes that network and disk share: the messages' encoding and the frames around them."""
