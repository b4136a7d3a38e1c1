"""Orders edited by people: address, contact, shipping method, items and metadata; with undo."""
