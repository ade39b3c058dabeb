"""Loading and maintaining tables in a catalog."""
