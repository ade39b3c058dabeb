"""Recorded figures, goals, and docs/benchmarks.md."""
