"""Whole operators on virtual time against a cluster that misbehaves by a schedule: see `simulator`."""
