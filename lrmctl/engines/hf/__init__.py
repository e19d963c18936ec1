"""Generation and scoring by transformers in this process, with continuous batching."""
