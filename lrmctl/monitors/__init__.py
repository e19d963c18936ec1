"""Monitors of RL runs: does the reward rise for the right reason? Alarms over `rollouts.jsonl` and `metrics.jsonl`.

An alarm sees windows of rollouts one after the other and compares each with the first. It reads rows only: it knows no
service, no backend and no recipe. What it says is a question to the reader, with rows to look at, not a verdict.
"""
