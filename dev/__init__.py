"""Developer tools: test cluster, images, installation, checks, demo, generated files."""
