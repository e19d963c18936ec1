"""Whether a recipe can run, as far as that can be known before it does. Loads no model and downloads nothing."""
