"""HTTP to podOS lives here and nowhere else."""
