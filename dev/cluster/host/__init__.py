"""The machine that the cluster runs on: what it must have, and what is changed on it."""
