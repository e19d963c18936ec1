"""What a terminal shows of plans, summaries, running runs and studies."""
