"""Sources of Amazon Web Services."""
