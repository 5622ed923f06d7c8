"""Rules broken on purpose, to prove that the simulator finds it when one is."""
