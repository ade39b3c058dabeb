"""Options that several commands share, each in one place, and the decorator that gives commands their session."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Final, TypeVar

import typer

from componentrun.cli.session import Makers, Session
from componentrun.cli.terminal.render import Format, ListFormat

Returned = TypeVar("Returned")

Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace", "-n", metavar="NAME", help="Namespace of the request. Defaults to the one of the context."
    ),
]
LongNamespace = Annotated[
    str | None,
    typer.Option("--namespace", metavar="NAME", help="Namespace of the request. Defaults to the one of the context."),
]
Context = Annotated[
    str | None,
    typer.Option("--context", metavar="NAME", help="Context of the kubeconfig to use. Defaults to the current one."),
]
Storage = Annotated[
    str | None,
    typer.Option("--storage", metavar="NAME", help="Storage to use. Defaults to the default Storage of the namespace."),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        envvar="COMPONENTRUN_STORE_ENDPOINT",
        metavar="URL",
        help="URL of the object store, if it differs from the one in the Storage, as outside the cluster.",
    ),
]
Output = Annotated[
    Format | None,
    typer.Option("--output", "-o", metavar="json|yaml", help="Output format. Defaults to text for people."),
]
ListOutput = Annotated[
    ListFormat | None,
    typer.Option(
        "--output",
        "-o",
        metavar="json|yaml|wide|name",
        help="Output format: `wide` adds columns, `name` prints names only.",
    ),
]
WaitTimeout = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help="Time to wait (`90s`, `15m`, `1h30m`), then exit with 124. The run goes on. Defaults to no limit.",
    ),
]
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="Name of the run. `@latest` is the newest run of the namespace.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Skip the question for confirmation.")]

_CTX: Final = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)


def with_session(
    *, storage: bool = False, endpoint: bool = False, short_namespace: bool = True
) -> Callable[[Callable[..., Returned]], Callable[..., Returned]]:
    """Give a command its session as first argument, made from options that are added to the command's own.

    Args:
        storage: whether the command works with a Storage, which `--storage` and `--endpoint` choose.
        endpoint: whether it works with all Storages of the namespace: `--endpoint` alone.
        short_namespace: whether `-n` is short for `--namespace`.
    """
    options: dict[str, Any] = {"storage": Storage} if storage else {}
    options |= {"endpoint": Endpoint} if storage or endpoint else {}
    options |= {"namespace": Namespace if short_namespace else LongNamespace, "context": Context}

    def decorate(command: Callable[..., Returned]) -> Callable[..., Returned]:
        @wraps(command)
        def run(ctx: typer.Context, **values: Any) -> Returned:
            session_values = {name: values.pop(name) for name in options}
            with Session(ctx.find_object(Makers) or Makers(), **session_values) as session:
                return command(session, **values)

        own_parameters = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
        parameters = [_CTX, *own_parameters, *(_option(name, kind) for name, kind in options.items())]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def _option(name: str, annotation: Any) -> inspect.Parameter:
    """An option that is None if it is not given."""
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation)
