"""The HTTP service that scores rollouts for a trainer: web server, ledger of rollouts, worker processes."""
