"""Start everything and run a component on real data: `python -m dev.demo`."""

import sys

from dev.cluster.errors import ClusterError
from dev.cluster.progress import say
from dev.demo import main

if __name__ == "__main__":
    try:
        main()
    except ClusterError as error:
        say(f"error: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        say("interrupted; `make demo` goes on where this ended")
        sys.exit(130)
