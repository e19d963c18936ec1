"""Decoding modes: thinking that is skipped, shortened, extended, capped or begun with a given thought."""
