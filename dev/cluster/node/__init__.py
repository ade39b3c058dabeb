"""Processes of our own cluster, their configuration and keys."""
