"""`lrmctl judge`: judges, used, measured and fitted outside an evaluation."""
