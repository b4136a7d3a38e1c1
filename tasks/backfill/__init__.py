"""A long import in windows, on the work pool."""
