"""The contract with plugins, and how they are found and loaded."""
