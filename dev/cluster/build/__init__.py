"""What is built and fetched for the cluster: tools from Go modules, clients, images, Spark."""
