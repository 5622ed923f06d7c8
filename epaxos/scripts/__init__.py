"""Lua scripts as Redis runs them, with results that are the same at every replica.

`Engine` (engine.py) runs one script.  It knows nothing of the store: commands go through a function that it
is given.  What a script sees is written in Lua (`lua/`).
"""
