"""See `distributed`."""
