"""Who works with the desk from outside: API tokens."""
