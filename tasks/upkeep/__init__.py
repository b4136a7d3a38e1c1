"""Backup, restore, copy, erase."""
