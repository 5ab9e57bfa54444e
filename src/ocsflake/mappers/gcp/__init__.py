"""Logs of Google Cloud."""
