"""Finding events among those of many runs."""
