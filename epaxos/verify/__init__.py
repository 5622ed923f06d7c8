"""The tools that hunt for bugs in the product: simulator, faults, judges, models, mutants."""
