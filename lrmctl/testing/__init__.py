"""The contracts of plugins as checks for their authors: call one from a test; it raises `ContractError` or returns."""
