"""Rewards: what a rollout is worth, composed from parts by a recipe."""
