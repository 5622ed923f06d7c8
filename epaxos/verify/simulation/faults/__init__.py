"""What goes wrong in a simulated run."""
