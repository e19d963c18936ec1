"""Launchers: a trainer on this machine, as a job of Ray, or as a job of Slurm."""
