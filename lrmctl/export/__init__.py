"""Results of an evaluation in the forms of other tools: Inspect AI, lm-evaluation-harness, Hugging Face datasets.

Only forms change here: figures are those of the summary, verdicts those of the rows.
"""
