"""A simulation that tries to break the index: a real chain, a real database, and all in between at fault."""
