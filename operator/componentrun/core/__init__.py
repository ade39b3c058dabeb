"""Decisions: pure functions of what was observed. Neither a client nor a watcher is imported here."""
