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
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
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
        return verbs[options.verb](options)
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


def _up(options: argparse.Namespace) -> int:
    kubeconfig = kind.up() if kind.is_chosen() else connection.stranger_kubeconfig()
    access = own.up(options.pod_pids_limit) if kubeconfig is None else stranger.up(kubeconfig)
    print(f"kubeconfig  {access.kubeconfig}")
    print(f"images      {access.registry or access.image_load_command}")
    print(f"store       {access.store_endpoint}, bucket {access.store_bucket}")
    print(f"catalog     {access.catalog_uri}, warehouse {access.catalog_warehouse}")
    print(f"logs        {access.logs}")
    return 0


def _down(_: argparse.Namespace) -> int:
    kubeconfig = connection.stranger_kubeconfig()
    is_changed = own.down() if kubeconfig is None else stranger.down()
    if kind.is_chosen():
        is_changed = kind.down() or is_changed
    say("down" if is_changed else "nothing was up")
    return 0


def _status(_: argparse.Namespace) -> int:
    kubeconfig = connection.stranger_kubeconfig()
    if kubeconfig is None:
        health = own.health()
    else:
        health = [own.Health(f"cluster of {kubeconfig}", stranger.problem(kubeconfig))]
    for line in health:
        print(f"{line.name:24} {line.problem or 'ok'}")
    return int(any(line.problem for line in health))


def _env(_: argparse.Namespace) -> int:
    print(connection.exports(connection.load()))
    return 0


def _build(options: argparse.Namespace) -> int:
    print(builds.build(options.tools))
    return 0


def _store(_: argparse.Namespace) -> int:
    lake_access = lake.up()
    print(f"store       {lake_access.endpoint}, bucket {lake_access.bucket}")
    print(f"catalog     {lake_access.catalog_uri}, warehouse {lake_access.catalog_warehouse}")
    return 0


def _minio(_: argparse.Namespace) -> int:
    print(store.up().endpoint)
    return 0


def _push(options: argparse.Namespace) -> int:
    print(images.bring(connection.load(), options.archive, options.name))
    return 0


def _stop(options: argparse.Namespace) -> int:
    say("stopped" if own.plan().named(options.part).end() else "it was not running")
    return 0


def _start(options: argparse.Namespace) -> int:
    part = own.plan().named(options.part)
    say("started" if part.begin() else "it was running and well")
    part.await_ready()
    return 0


if __name__ == "__main__":
    sys.exit(main())
