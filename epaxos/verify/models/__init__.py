"""Exhaustive small models: every run of a few real cores, within stated bounds."""
