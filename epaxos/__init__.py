"""Egalitarian Paxos on Twisted: a leaderless, strongly consistent, replicated service."""

__version__ = "0.1.0"
