"""Sources of Google Cloud."""
