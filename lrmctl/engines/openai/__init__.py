"""Generation and scoring by servers that speak OpenAI's API."""
