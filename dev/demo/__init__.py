"""The demo: from an empty machine to a table that a component computed from 336,776 real flights."""

from dev.demo.show import main

__all__ = ["main"]
