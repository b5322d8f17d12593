"""The Trustlines relay: reads currency networks from a chain, keeps them in Postgres, serves wallets."""

__version__ = "0.1.0"
