"""What runs: server, worker, deployments, metrics, alerts."""
