"""The cost of a run compared with a bare pod and a hand-written Job, and of processors."""
