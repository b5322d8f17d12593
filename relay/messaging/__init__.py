"""Messages from user to user: taken, kept until they are read, delivered live."""
