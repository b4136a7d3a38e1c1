"""The work: plain functions, with the thin Prefect task around them at the end of the same file."""
