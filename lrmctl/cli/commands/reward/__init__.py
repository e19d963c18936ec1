"""`lrmctl reward`: rewards, tested, fitted and served outside a training run."""
