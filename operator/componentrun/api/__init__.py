"""The Kubernetes API: pydantic models are the source, the CRDs in crds/ are generated from them (`python -m componentrun.api`)."""
