"""The HTTP API: JSON for programs, by tokens. Each endpoint calls the function of a command."""
