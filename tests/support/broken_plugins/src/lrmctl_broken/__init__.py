"""Plugins that fail while they load. Each is an entry point of its own; `prints` is only noisy, and works."""
