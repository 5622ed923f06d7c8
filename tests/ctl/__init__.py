"""Tests of `epaxosctl`."""
