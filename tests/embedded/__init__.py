"""Tests of epaxos.embedded."""
