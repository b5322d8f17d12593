"""The HTTP server: a parent owns the port; workers answer, each with an event loop before a pool of threads."""
