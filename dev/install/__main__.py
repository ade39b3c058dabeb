"""Build the image and install the operator on the cluster: `python -m dev.install [--uninstall | --reader=api]`."""

import argparse
import sys
from collections.abc import Sequence

from dev import images
from dev.cluster import connection
from dev.cluster.errors import ClusterError
from dev.cluster.progress import say
from dev.install import IMAGES, NAMESPACE, install, uninstall


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m dev.install", description=__doc__)
    parser.add_argument("--uninstall", action="store_true", help="take the operator away; runs stay")
    parser.add_argument("--reader", choices=("node", "api"), default="node", help="how the collector reads logs")
    options = parser.parse_args(arguments)
    try:
        cluster = connection.load()
        if options.uninstall:
            uninstall(cluster)
        else:
            values = {} if options.reader == "node" else {"collector": {"reader": options.reader}}
            install(cluster, images.ensure(cluster, IMAGES), values)
            print(f"the operator runs in namespace {NAMESPACE}")
    except ClusterError as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
