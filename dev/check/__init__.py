"""All checks of the project, in the order in which they fail fastest: `make test`."""
