"""Logs of Microsoft 365."""
