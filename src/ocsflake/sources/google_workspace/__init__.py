"""Sources of Google Workspace."""
