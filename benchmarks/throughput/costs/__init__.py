"""Costs of a batch: what is read (audit log, CPU time, memory), and the figures made of it."""
