"""The command line: `python -m e2e.cluster up|down|status|env|build|store`."""

import argparse
import sys
from collections.abc import Sequence

from e2e.cluster import builds, store
from e2e.cluster.errors import ClusterError


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.cluster", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    building = verbs.add_parser("build", help="build tools that are not built yet")
    building.add_argument("tools", nargs="*", default=list(builds.STANDARD), metavar="TOOL")
    verbs.add_parser("store", help="start only the object store")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.verb == "build":
            print(builds.build(chosen.tools))
        else:
            print(store.up().endpoint)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
