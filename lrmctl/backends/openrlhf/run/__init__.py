"""A run of OpenRLHF while it goes on and after it: metrics, checkpoints, evaluations, failures."""
