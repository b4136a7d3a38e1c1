"""Rules, maps and the check before sending: pure, no HTTP, no SQL."""
