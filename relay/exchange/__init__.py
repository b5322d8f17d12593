"""The order book of Exchange contracts: what is taken into it, who can pay, what leaves it."""
