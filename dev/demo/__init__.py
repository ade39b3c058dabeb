"""The demo: from nothing to a table that a component made of 336,776 real flights."""

from dev.demo.show import main

__all__ = ["main"]
