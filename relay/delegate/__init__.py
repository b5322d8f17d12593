"""Transactions on their way: those of the relay's own, paid for users, and those that users sign themselves."""
