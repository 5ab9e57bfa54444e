"""Logs of Microsoft Azure and Entra ID."""
