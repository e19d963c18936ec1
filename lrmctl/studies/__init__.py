"""A study: one base, several recipes, one evaluation of each, one report."""
