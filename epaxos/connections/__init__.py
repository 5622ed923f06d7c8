"""What holds for every connection of a client, whoever serves it: the order of its commands, and those who
wait for elements."""
