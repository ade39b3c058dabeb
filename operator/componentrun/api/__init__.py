"""The Kubernetes API: pydantic models are the source, crds/ is generated from them (`python -m componentrun.api`)."""
