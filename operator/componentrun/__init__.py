"""Run other people's code on your tables, safely, on Kubernetes."""

from typing import Final

__all__ = ["__version__"]

__version__: Final = "0.1.0"
