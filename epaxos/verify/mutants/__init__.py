"""Rules broken on purpose, to prove that the simulator finds a broken rule."""
