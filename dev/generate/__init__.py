"""Writes everything that is generated; tests compare the committed files with what this would write."""
