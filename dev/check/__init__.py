"""All checks of the project: `make test`."""
