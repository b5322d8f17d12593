"""Live notifications: JSON-RPC over WebSocket, on the port of the REST API."""
