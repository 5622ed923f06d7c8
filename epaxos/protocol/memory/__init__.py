"""The memory of a replica: instances, interference, slots, and how its peers behave."""
