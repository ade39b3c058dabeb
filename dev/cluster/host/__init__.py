"""The machine that the cluster runs on: its requirements, and the changes made to it."""
