"""A Kubernetes for development and tests.

If KUBECONFIG names a cluster, that one is used; with CLUSTER=kind, one of kind; else a real one is built and started on
this machine.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dev.cluster import connection, kind, own, stranger
from dev.cluster.build import builds, images
from dev.cluster.errors import ClusterError
from dev.cluster.progress import say
from dev.cluster.stores import minio as store
from dev.cluster.stores import seaweedfs as lake


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    verbs: Mapping[str, Callable[[argparse.Namespace], int]] = {
        "up": _up,
        "down": _down,
        "status": _status,
        "env": _env,
        "build": _build,
        "store": _store,
        "minio": _minio,
        "push": _push,
        "stop": _stop,
        "start": _start,
    }
    try:
        return verbs[chosen.verb](chosen)
    except ClusterError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; `up` goes on where this ended, `down` removes what was started")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev.cluster", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="bring the cluster up, or repair it")
    up.add_argument("--pod-pids-limit", type=int, help="processes that one pod may have (kept until the next time)")
    verbs.add_parser("down", help="take the cluster and its stores down, leaving nothing but logs and builds")
    verbs.add_parser("status", help="how each part is; exits 1 if one is not well")
    verbs.add_parser("env", help='for a shell: eval "$(python -m dev.cluster env)"')
    build = verbs.add_parser("build", help="build tools that are not built yet, and print where they are")
    build.add_argument("tools", nargs="*", default=list(builds.STANDARD), metavar="TOOL", help=", ".join(builds.TOOLS))
    verbs.add_parser("store", help="start only the store, and print the URLs of its S3 API and its Iceberg catalog")
    verbs.add_parser("minio", help="start another store for tests that try several, MinIO, and print its URL")
    push = verbs.add_parser("push", help="bring an image onto the cluster, and print its name for a pod")
    push.add_argument("archive", type=Path, help="an OCI archive with one image")
    push.add_argument("name", help="repository:tag, without a registry")
    for verb in ("stop", "start"):
        single = verbs.add_parser(verb, help=f"{verb} one part of our own cluster, to test failures")
        single.add_argument("part")
    return parser


def _up(chosen: argparse.Namespace) -> int:
    kubeconfig = kind.up() if kind.is_chosen() else connection.stranger_kubeconfig()
    found = own.up(chosen.pod_pids_limit) if kubeconfig is None else stranger.up(kubeconfig)
    print(f"kubeconfig  {found.kubeconfig}")
    print(f"images      {found.registry or found.image_load_command}")
    print(f"store       {found.store_endpoint}, bucket {found.store_bucket}")
    print(f"catalog     {found.catalog_uri}, warehouse {found.catalog_warehouse}")
    print(f"logs        {found.logs}")
    return 0


def _down(_: argparse.Namespace) -> int:
    kubeconfig = connection.stranger_kubeconfig()
    was_up = own.down() if kubeconfig is None else stranger.down()
    if kind.is_chosen():
        was_up = kind.down() or was_up
    say("down" if was_up else "nothing was up")
    return 0


def _status(_: argparse.Namespace) -> int:
    kubeconfig = connection.stranger_kubeconfig()
    if kubeconfig is None:
        found = own.health()
    else:
        found = [own.Health(f"cluster of {kubeconfig}", stranger.problem(kubeconfig))]
    for line in found:
        print(f"{line.name:24} {line.problem or 'ok'}")
    return int(any(line.problem for line in found))


def _env(_: argparse.Namespace) -> int:
    print(connection.exports(connection.load()))
    return 0


def _build(chosen: argparse.Namespace) -> int:
    print(builds.build(chosen.tools))
    return 0


def _store(_: argparse.Namespace) -> int:
    found = lake.up()
    print(f"store       {found.endpoint}, bucket {found.bucket}")
    print(f"catalog     {found.catalog_uri}, warehouse {found.catalog_warehouse}")
    return 0


def _minio(_: argparse.Namespace) -> int:
    print(store.up().endpoint)
    return 0


def _push(chosen: argparse.Namespace) -> int:
    print(images.bring(connection.load(), chosen.archive, chosen.name))
    return 0


def _stop(chosen: argparse.Namespace) -> int:
    say("stopped" if own.plan().named(chosen.part).end() else "it was not running")
    return 0


def _start(chosen: argparse.Namespace) -> int:
    part = own.plan().named(chosen.part)
    say("started" if part.begin() else "it was running and well")
    part.await_ready()
    return 0


if __name__ == "__main__":
    sys.exit(main())
