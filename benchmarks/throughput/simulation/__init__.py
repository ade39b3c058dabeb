"""Simulated parts: kubelets (KWOK's configuration and the status updates of pods), stage-out and the collector."""
