"""Training data: sources by name, rows rendered for a model, audits of what is trained on."""
