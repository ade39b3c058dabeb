"""A real Kubernetes for development and tests, built from Go modules where there is none (see README.md)."""
