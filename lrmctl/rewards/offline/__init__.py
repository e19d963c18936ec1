"""Rewards outside a run: weights fitted on labelled completions, past rollouts scored anew."""
