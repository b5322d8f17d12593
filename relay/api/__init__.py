"""The REST API under /api/v1: a Flask application over the services handed to it."""
