"""A real Kubernetes for development and tests, built from Go modules if no cluster is given (see README.md)."""
