"""Orders go to those who print them, and their shipments come back."""
