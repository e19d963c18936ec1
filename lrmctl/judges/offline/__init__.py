"""Judging files outside a run: verdicts, agreement with people, and tables of both."""
