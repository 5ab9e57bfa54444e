"""Logs of Amazon Web Services."""
