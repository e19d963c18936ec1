"""Reasoning tasks: what is asked, and how final answers are graded."""
