"""Tests of epaxos/transfer."""
