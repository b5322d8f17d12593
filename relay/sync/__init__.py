"""From Postgres to graphs: every API process loads the state once and then follows the feed."""
