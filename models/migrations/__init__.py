"""The desk's schema, step by step. ``HEAD`` is the newest step that this program knows."""

HEAD = "0015"
