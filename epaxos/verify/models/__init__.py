"""Exhaustive small models: everything that may happen to a few real cores, up to stated bounds."""
