"""Generation and scoring by vLLM in this process."""
