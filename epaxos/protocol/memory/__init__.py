"""What a replica remembers: instances, interference, slots, and how its peers behave."""
