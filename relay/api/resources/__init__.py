"""The resources of the API, a module per family."""
