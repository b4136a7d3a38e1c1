"""A sandbox podOS: a real HTTP server with invented orders, for demos, tests and benchmarks.

It shares no code with the importer's podOS client, so that a mistake made in one does not hide in the other.
"""
