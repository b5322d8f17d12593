"""The local world of the demo and the tests: a chain with the real contracts, a database, a village of people."""
