"""One training run, from a recipe to a finished model: inputs, the plan, the launch, going on with a run."""
