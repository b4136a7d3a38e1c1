"""Shipments come in and go to podOS, each exactly once."""
