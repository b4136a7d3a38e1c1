"""Data only: podOS wire shapes, desk tables, settings and reports. Nothing here does I/O."""
