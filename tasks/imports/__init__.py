"""From podOS into the desk: read, filter, map, load, and what podOS changed since."""
