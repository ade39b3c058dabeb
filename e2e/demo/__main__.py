"""Bring everything up and run a component on real data: `python -m e2e.demo`."""

import sys

from e2e.cluster.errors import ClusterError
from e2e.cluster.progress import say
from e2e.demo import main

if __name__ == "__main__":
    try:
        main()
    except ClusterError as error:
        say(f"error: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        say("interrupted; `make demo` goes on where this ended")
        sys.exit(130)
