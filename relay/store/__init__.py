"""Postgres: connections, the schema, and every query. The only room that knows SQL and psycopg2."""
