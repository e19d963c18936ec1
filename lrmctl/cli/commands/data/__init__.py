"""`lrmctl data`: training data."""
