"""The desk's SQL lives here and nowhere else."""
