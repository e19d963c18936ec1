"""The rewards that lrmctl ships, registered through the same hook as those of plugins."""
