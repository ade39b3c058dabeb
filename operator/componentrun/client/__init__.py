"""The Python client: `Client` and `AsyncClient`. docs/client.md has examples and all signatures.

Packages and modules, lowest first:

    errors       errors with advice
    models       objects of the API server as models
    kubernetes   the interface to Kubernetes
    storage      the interface to a Storage
    request      from arguments to a ComponentRun
    outcome      how a run ended: result and errors
    following    what is known of a run that is followed
    watching     watches one run in a thread
    runs         one run
    frames       tables as Arrow, pandas and polars
    tables       tables and queries as data frames
    client       the client
    asynchronous the asynchronous client

The command line uses some of these as well. So the names of this package are loaded at their first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from componentrun.api.mapping.files import InputFile
    from componentrun.api.mapping.tables import InputTable, OutputTableMapping
    from componentrun.client.asynchronous import AsyncClient, AsyncRun
    from componentrun.client.client import Client
    from componentrun.client.errors import (
        AlreadyExistsError,
        BadRequestError,
        EnvironmentFault,
        NotAllowedError,
        NotFoundError,
        WaitTimeoutError,
    )
    from componentrun.client.outcome import (
        RunComponentError,
        RunFailedError,
        RunLimitError,
        RunPlatformError,
        RunResult,
        RunStoppedError,
        RunUserError,
    )
    from componentrun.client.request.arguments import RunOptions
    from componentrun.client.runs import Run
    from componentrun.client.tables import Query, Table
    from componentrun.errors import ComponentRunError, PlatformError, UserError

__all__ = [
    "AlreadyExistsError",
    "AsyncClient",
    "AsyncRun",
    "BadRequestError",
    "Client",
    "ComponentRunError",
    "EnvironmentFault",
    "InputFile",
    "InputTable",
    "NotAllowedError",
    "NotFoundError",
    "OutputTableMapping",
    "PlatformError",
    "Query",
    "Run",
    "RunComponentError",
    "RunFailedError",
    "RunLimitError",
    "RunOptions",
    "RunPlatformError",
    "RunResult",
    "RunStoppedError",
    "RunUserError",
    "Table",
    "UserError",
    "WaitTimeoutError",
]

_HERE: Final = "componentrun.client."
_MODULES: Final = {
    "componentrun.api.mapping.files": ("InputFile",),
    "componentrun.api.mapping.tables": ("InputTable", "OutputTableMapping"),
    f"{_HERE}asynchronous": ("AsyncClient", "AsyncRun"),
    f"{_HERE}client": ("Client",),
    f"{_HERE}errors": (
        "AlreadyExistsError",
        "BadRequestError",
        "EnvironmentFault",
        "NotAllowedError",
        "NotFoundError",
        "WaitTimeoutError",
    ),
    f"{_HERE}outcome": (
        "RunComponentError",
        "RunFailedError",
        "RunLimitError",
        "RunPlatformError",
        "RunResult",
        "RunStoppedError",
        "RunUserError",
    ),
    f"{_HERE}request.arguments": ("RunOptions",),
    f"{_HERE}runs": ("Run",),
    f"{_HERE}tables": ("Query", "Table"),
    "componentrun.errors": ("ComponentRunError", "PlatformError", "UserError"),
}


def __getattr__(name: str) -> Any:
    """Load a name of `__all__` at its first use."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module `componentrun.client` has no `{name}`")
