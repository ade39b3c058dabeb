"""The demo's steps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dev import images
from dev.cluster import connection as cluster_connection
from dev.cluster import kind, progress
from dev.cluster.__main__ import main as cluster_command
from dev.cluster.connection import Connection
from dev.cluster.errors import ClusterError
from dev.cluster.progress import say
from dev.demo import ahead, data, manifests
from dev.demo.terminal import Terminal, heading
from dev.install import IMAGES, install

_COMPONENTS = sorted(manifests.EXAMPLES.glob("*/component.yaml"))
_IMAGES = (*IMAGES, *(f"example-{path.parent.name}" for path in _COMPONENTS))
_ROWS = "20"
_TITLES = 9
_QUERY = (
    'select name, max(try_cast(dep_delay as int)) as worst_delay from "in.c-nyc.flights" '
    'join "out.c-nyc.delays" using (carrier) group by all order by worst_delay desc limit 5'
)


def main(values: Mapping[str, Any] | None = None) -> None:
    """Run all steps of the demo. A second run reuses what already exists.

    Args:
        values: additional values of the chart.

    Raises:
        ClusterError: a step failed.
    """
    if offer := kind.offer():
        say(offer)
    ahead.expect()
    titles = _Titles()
    titles.next("A cluster")
    with ahead.built(_IMAGES):
        if cluster_command(["up"]):
            raise ClusterError("the cluster did not come up", hint="see above; `make demo` goes on where it ended")
        progress.finished("cluster")
    connection = cluster_connection.load()
    terminal = Terminal(connection, manifests.NAMESPACE)
    titles.next("Images of the operator and the examples")
    references = images.ensure(connection, _IMAGES)
    print("\n".join(references.values()))
    titles.next("The operator")
    install(connection, references, values)
    progress.finished("operator")
    terminal.run("kubectl", "get", "pods", "--namespace", "componentrun-system")
    titles.next("A namespace with a Storage, and tables in it: flights that left New York in 2013")
    _fill(connection, terminal)
    titles.next("Components: programs that may be run, and what they may use")
    _apply(terminal, manifests.write_components(references))
    terminal.run("kubectl", "get", "components", "--namespace", manifests.NAMESPACE)
    titles.next("Run one: which carrier is late?")
    _submit(terminal, "delays-python")
    titles.next("The table that it made")
    _head(terminal, "out.c-nyc.delays")
    titles.next("The same table in SQL: it is an Apache Iceberg table")
    terminal.run("componentrun", "table", "query", _QUERY, "--namespace", manifests.NAMESPACE)
    progress.finished("example")
    titles.next("Where everything is")
    print(_farewell(connection, terminal))


class _Titles:
    """Numbered headings."""

    def __init__(self) -> None:
        self._number = 0

    def next(self, text: str) -> None:
        self._number += 1
        heading(text, f"{self._number}/{_TITLES}")


def _fill(connection: Connection, terminal: Terminal) -> None:
    _apply(terminal, manifests.write_namespace(connection))
    for table in data.tables():
        terminal.run("componentrun", "table", "put", table.file, table.id, "--namespace", manifests.NAMESPACE)
    terminal.run("componentrun", "table", "ls", "--namespace", manifests.NAMESPACE)


def _apply(terminal: Terminal, file: Path) -> None:
    terminal.run("kubectl", "apply", "--server-side", "--force-conflicts", "--filename", file)


def _submit(terminal: Terminal, example: str) -> None:
    run = manifests.EXAMPLES / example / "run.yaml"
    terminal.run("componentrun", "submit", "--file", run, "--follow", "--namespace", manifests.NAMESPACE)


def _head(terminal: Terminal, table: str) -> None:
    terminal.run("componentrun", "table", "head", table, "--rows", _ROWS, "--namespace", manifests.NAMESPACE)


def _farewell(connection: Connection, terminal: Terminal) -> str:
    namespace = f"--namespace {manifests.NAMESPACE}"
    return f"""\
Your shell, to be where the demo is:

  {terminal.exports()}

Try next:

  componentrun submit -f examples/r/run.yaml --follow {namespace}         # do flights leave later when it rains?
  componentrun table head out.c-nyc.rain {namespace}
  componentrun submit -f examples/shell/run.yaml --follow {namespace}     # plain shell and awk
  componentrun submit --component delays --param decimals=99 --follow {namespace}   # a user's error
  componentrun list {namespace}
  componentrun events @latest {namespace}
  componentrun table sql-setup --engine duckdb {namespace}     # the same tables from another engine
  kubectl get componentruns {namespace} -o wide

The object store is {connection.store_endpoint}, bucket {connection.store_bucket}, with the catalog
{connection.catalog_uri}; its keys are in the Secret `store`:

  kubectl get secret store {namespace} -o yaml

The objects that were applied are in {manifests.folder()}, the logs of the cluster's parts in {connection.logs}.
`make cluster-down` takes all of it away."""
