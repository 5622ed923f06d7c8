"""What the statuses of all members say together: what is wrong (`findings`), and a picture (`frame`)."""
