"""The bridge to lm-evaluation-harness. Only files in here import it."""
