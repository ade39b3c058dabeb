"""What developers of ComponentRun run: a cluster, images, an installation, all checks, the demo, generated files."""
