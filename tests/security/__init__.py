"""What hostile clients send, and what all others notice of it."""
