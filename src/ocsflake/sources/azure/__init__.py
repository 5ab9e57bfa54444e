"""Sources of Microsoft Azure."""
