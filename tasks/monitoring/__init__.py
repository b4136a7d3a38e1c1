"""Whether all is well: health, status, metrics, alerts."""
