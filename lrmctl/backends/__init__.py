"""Training backends: a recipe becomes a plan, and a plan becomes a process."""
