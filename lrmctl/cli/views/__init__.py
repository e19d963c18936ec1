"""Terminal output for plans, summaries, running runs and studies."""
