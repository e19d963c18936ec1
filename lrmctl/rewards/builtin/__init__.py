"""The rewards that lrmctl ships, registered through the same hook as plugin rewards."""
