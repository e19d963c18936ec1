"""Engines: whatever completes prompts or answers a judge's questions."""
