"""Evaluations of the same prompts side by side: paired differences with intervals and tests.

Each prompt is its own control, which is worth many times the prompts of an unpaired test. Hence the refusals: nothing
is paired unless both sides saw the same prompts, as often, sampled and judged in the same way, or the user says that
the difference is what they want to see. Reads the folders of evaluations; knows nothing of how they were made.
"""
