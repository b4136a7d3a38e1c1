"""The desk in the browser: pages for the people on the floor."""
