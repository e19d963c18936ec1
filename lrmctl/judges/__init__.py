"""Judges: verdicts on the thinking and the answer of a trace."""
