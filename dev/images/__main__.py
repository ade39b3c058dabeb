"""Build the images and bring them to the cluster: `python -m dev.images [--build-only] [NAME...]`."""

import argparse
import sys
from collections.abc import Sequence

from dev.cluster import connection
from dev.cluster.errors import ClusterError
from dev.cluster.progress import say
from dev.images import IMAGES, build, ensure


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the name and reference of each image, one per line. Progress goes to stderr."""
    parser = argparse.ArgumentParser(prog="python -m dev.images", description=__doc__)
    parser.add_argument("--build-only", action="store_true", help="build, but bring nothing to a cluster")
    parser.add_argument("names", nargs="*", default=list(IMAGES), metavar="NAME", help=", ".join(IMAGES))
    options = parser.parse_args(arguments)
    try:
        references = build(options.names) if options.build_only else ensure(connection.load(), options.names)
    except ClusterError as error:
        say(f"error: {error}")
        return 1
    for name, reference in references.items():
        print(f"{name}\t{reference}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
