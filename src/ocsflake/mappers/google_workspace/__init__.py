"""Logs of Google Workspace."""
