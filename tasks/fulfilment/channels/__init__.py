"""The ways out of the desk to those who print: one module each, behind ``interface.Way``."""
