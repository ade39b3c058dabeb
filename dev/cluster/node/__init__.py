"""The processes of our own cluster, their configuration and their keys."""
