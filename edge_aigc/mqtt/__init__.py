"""Contract 4: connection, topics and message types."""
