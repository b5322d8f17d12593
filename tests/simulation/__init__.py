"""A simulation that tries to break the index: a real chain, a real database, and everything in between at fault."""
