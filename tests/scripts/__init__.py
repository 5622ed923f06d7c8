"""Tests of the engine of scripts, and of its Lua."""
