"""The init container: reads its grant and plan, brings the input into the data folder, writes what goes with it."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, Final

from componentrun import contract
from componentrun.agent.folder import Folder
from componentrun.agent.memory import keep_blocks
from componentrun.agent.plan import fetch_plan
from componentrun.agent.progress import WORTH_A_LINE, amount, say
from componentrun.agent.stagein.download import download, file_size
from componentrun.agent.stagein.secrets import with_secrets
from componentrun.agent.transfer import Client, Patience
from componentrun.errors import Reason, UserError
from componentrun.wire.agents import FileRead, GrantIn, StageInPlan, StageInResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.wire.agents import CsvRead, TableRead

__all__ = ["config_content", "stage_in"]

_FOLDERS: Final = (
    contract.IN_TABLES,
    contract.IN_FILES,
    contract.OUT_TABLES,
    contract.OUT_FILES,
    contract.IN_ARTIFACTS,
    *contract.OUT_ARTIFACTS,
)
_CONFIG_MODE: Final = 0o600
"""config.json holds secrets; the component runs with the same user id as this agent."""


def stage_in(grant: GrantIn, data: str, patience: Patience | None = None) -> StageInResult:
    """Bring the input.

    Args:
        grant: what may be read, and the secrets.
        data: path of the data folder.
        patience: how long trouble with the store is borne; None: as long as in production.

    Raises:
        UserError: (DiskFull, InvalidSpec, InputInvalid) the run's author can mend it.
        PlatformError: see `Client.send`.
    """
    started = time.monotonic()
    keep_blocks()
    client = Client(grant.ca_bundle, patience or Patience())
    plan = fetch_plan(client, grant.plan_url, StageInPlan, "the plan of stage-in")
    _check_paths([*_tables(plan), *plan.files])
    rows = _bring(client, data, plan, grant.secrets)
    return _report(plan, data, rows, time.monotonic() - started)


def _bring(client: Client, data: str, plan: StageInPlan, secrets: dict[str, str]) -> dict[str, int]:
    """Bring all that the plan names; returns the number of rows of each table of which it is known, by its path."""
    whole = [FileRead(item.source, item.path, (item.object,), None) for item in plan.objects if not item.needs_query]
    whole += plan.files
    queried = [item for item in plan.objects if item.needs_query]
    size = sum(map(file_size, whole))
    stored = size + sum(item.object.size for item in queried) + sum(table.parquet.size for table in plan.tables)
    if stored >= WORTH_A_LINE:
        say("info", f"Bringing the input: {amount(len(_tables(plan)), stored, len(plan.files))}.")
    with Folder(data) as folder:
        for path in _FOLDERS:
            folder.make(path)
        # How large tables become is known when they are there.
        _check_space(folder, size + max((item.object.size for item in queried), default=0))
        folder.write(contract.CONFIG_FILE, config_content(plan, secrets), _CONFIG_MODE)
        folder.write(contract.IN_STATE, _encode(plan.state))
        download(client, folder, whole)
        rows = _bring_csv(client, folder, data, queried) if queried else {}
        return rows | (_bring_parquet(client, folder, data, plan.tables) if plan.tables else {})


def _report(plan: StageInPlan, data: str, rows: dict[str, int], seconds: float) -> StageInResult:
    """Say what was brought: of each table its rows where they are known, and its bytes as the component finds them."""
    tables: list[dict[str, str | int]] = []
    size = sum(map(file_size, plan.files))
    for item in _tables(plan):
        known = {"rows": rows[item.path]} if item.path in rows else {}
        delivered = _delivered(f"{data}/{item.path}")
        tables.append({"table": item.source, **known, "bytes": delivered})
        size += delivered
    count, files, total = len(tables), len(plan.files), sum(rows.values())
    say(
        "info",
        f"Input ready: {amount(count, size, files)} in {seconds:.1f} s.",
        tables=tables,
        rows=total,
        bytes=size,
        files=files,
        seconds=round(seconds, 3),
    )
    return StageInResult(ok=True, tables=count, rows=total, size=size, seconds=round(seconds, 3), files=files)


def _delivered(path: str) -> int:
    """Bytes of a file, or of the slices in a folder. Nobody else writes here yet."""
    if os.path.isdir(path):  # noqa: PTH112 - pathlib costs ten milliseconds
        with os.scandir(path) as entries:
            return sum(entry.stat().st_size for entry in entries)
    return os.stat(path).st_size  # noqa: PTH116 - likewise


def _bring_csv(client: Client, folder: Folder, data: str, objects: Sequence[CsvRead]) -> dict[str, int]:
    from componentrun.agent.stagein.csvobjects import bring_csv  # noqa: PLC0415 - few runs ask for parts of objects

    return bring_csv(client, folder, data, objects)


def _bring_parquet(client: Client, folder: Folder, data: str, tables: Sequence[TableRead]) -> dict[str, int]:
    from componentrun.agent.stagein.parquet import bring_parquet  # noqa: PLC0415 - runs without tables start faster

    return bring_parquet(client, folder, data, tables)


def _tables(plan: StageInPlan) -> list[TableRead | CsvRead]:
    return [*plan.tables, *plan.objects]


def _check_paths(inputs: Sequence[TableRead | CsvRead | FileRead]) -> None:
    """Refuse what would be written outside of in/tables and in/files, or twice."""
    taken: set[str] = set()
    for item in inputs:
        source, path = item.source, item.path
        inside = path.startswith((f"{contract.IN_TABLES}/", f"{contract.IN_FILES}/"))
        if not inside or {"", ".", ".."} & set(path.split("/")) or "\0" in path:
            raise UserError(
                f"{source}: its destination `{path}` is not below `{contract.IN_TABLES}` or `{contract.IN_FILES}`",
                Reason.INPUT_INVALID,
            )
        for name in (path, path + contract.MANIFEST_SUFFIX):
            if name in taken:
                raise UserError(f"{source}: `{name}` is written by another input, too", Reason.INPUT_INVALID)
            taken.add(name)


def _check_space(folder: Folder, size: int) -> None:
    free = folder.free_bytes()
    if size > free:
        raise UserError(
            f"the input has {size} bytes, but the data folder has room for {free}; give the run (or its Component) a "
            "larger data folder",
            Reason.DISK_FULL,
        )


def config_content(plan: StageInPlan, secrets: dict[str, str]) -> bytes:
    """Content of config.json: the parameters as they were written, or as Kubernetes keeps objects."""
    config: dict[str, Any] = {"parameters": {}} | plan.config
    texts = {key: _text(value).replace("\n", "\n  ") for key, value in config.items()}
    parameters = texts["parameters"] if plan.parameters_text is None else plan.parameters_text
    texts["parameters"] = with_secrets(parameters, secrets)
    members = ",\n".join(f'  "{key}": {text}' for key, text in texts.items())
    return f"{{\n{members}\n}}\n".encode()


def _encode(document: dict[str, Any]) -> bytes:
    return f"{_text(document)}\n".encode()


def _text(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2)
