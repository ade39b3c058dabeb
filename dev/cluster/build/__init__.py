"""Builds and downloads for the cluster: tools from Go modules, clients, images, Spark."""
