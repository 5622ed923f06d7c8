"""What hunts for faults in the product: simulator, faults, judges, models, mutants."""
