"""`lrmctl reward`: rewards, tried, fitted and served outside a training run."""
