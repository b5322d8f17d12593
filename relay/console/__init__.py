"""What the commands show to people: the progress of long work, the state of the relay, results."""
