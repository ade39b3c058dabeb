"""Options that several commands share, each in one place."""

from typing import Annotated

import typer

from componentrun.cli.terminal.render import Format, ListFormat

Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", metavar="NAME", help="Namespace to work in. Defaults to the context's own."),
]
LongNamespace = Annotated[
    str | None,
    typer.Option("--namespace", metavar="NAME", help="Namespace to work in. Defaults to the context's own."),
]
Context = Annotated[
    str | None,
    typer.Option("--context", metavar="NAME", help="Context of the kubeconfig. Defaults to the current one."),
]
Storage = Annotated[
    str | None,
    typer.Option("--storage", metavar="NAME", help="Storage to use. Defaults to the namespace's default one."),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        envvar="COMPONENTRUN_STORE_ENDPOINT",
        metavar="URL",
        help="URL of the object store as seen from here, if it has another one outside the cluster.",
    ),
]
Output = Annotated[
    Format | None, typer.Option("--output", "-o", metavar="json|yaml", help="Print for programs instead of people.")
]
ListOutput = Annotated[
    ListFormat | None,
    typer.Option(
        "--output",
        "-o",
        metavar="json|yaml|wide|name",
        help="Print for programs, or: `wide` more columns, `name` names only.",
    ),
]
WaitTimeout = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help="Stop waiting after this long (`90s`, `15m`, `1h30m`) with exit code 124; the run goes on.",
    ),
]
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="Name of the run; `@latest` is the newest one of the namespace.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
