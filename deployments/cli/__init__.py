"""The command line ``desk``: one file per topic."""
