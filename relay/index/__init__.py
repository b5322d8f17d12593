"""From the chain to Postgres: backfill, following and reorgs. Writes chain state, and nobody else does."""
