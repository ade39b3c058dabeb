"""The init container: reads its grant and plan, brings the input into the data folder, writes what goes with it."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, Final

from componentrun import contract
from componentrun.agent.download import download, table_size
from componentrun.agent.folder import Folder
from componentrun.agent.memory import keep_blocks
from componentrun.agent.plan import fetch_plan
from componentrun.agent.progress import WORTH_A_LINE, amount, say
from componentrun.agent.secrets import with_secrets
from componentrun.agent.sliced import files_of, prepare
from componentrun.agent.transfer import Client, Patience
from componentrun.errors import Reason, UserError
from componentrun.exchange import GrantIn, StageInPlan, StageInResult, TableRead

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    files = [TableRead(file.source, file.path, None, file.parts, file.manifest) for file in plan.files]
    _check_paths([*plan.tables, *files])
    lake = [table for table in plan.tables if table.parquet is not None]
    plain = [table for table in plan.tables if table.parquet is None and table.mapping is None]
    mapped = [table for table in plan.tables if table.parquet is None and table.mapping is not None]
    # What becomes of Parquet files is known when it is there.
    size = sum(table_size(table) for table in (*plain, *mapped, *files))
    stored = size + sum(table.parquet.size for table in lake if table.parquet is not None)
    if stored >= WORTH_A_LINE:
        say("info", f"Bringing the input: {amount(len(plan.tables), stored, len(files))}.")
    with Folder(data) as folder:
        for path in _FOLDERS:
            folder.make(path)
        _check_space(folder, size + (_scratch(mapped) if mapped else 0))
        folder.write(contract.CONFIG_FILE, config_content(plan, grant.secrets), _CONFIG_MODE)
        folder.write(contract.IN_STATE, _encode(plan.state))
        download(client, folder, [*(part for table in plain for part in files_of(table)), *files])
        for table in plain:
            if table.sliced:
                prepare(folder, table)
        rows = {table.path: table.rows for table in plain}
        rows |= _bring_mapped(client, folder, data, mapped) if mapped else {}
        rows |= _bring_parquet(client, folder, data, lake) if lake else {}
    size += sum(_delivered(f"{data}/{table.path}") for table in lake)
    seconds = time.monotonic() - started
    count = len(plan.tables)
    total = sum(number or 0 for number in rows.values())
    say(
        "info",
        f"Input ready: {amount(count, size, len(files))} in {seconds:.1f} s.",
        tables=[_told(table, rows[table.path], data) for table in plan.tables],
        rows=total,
        bytes=size,
        files=len(files),
        seconds=round(seconds, 3),
    )
    return StageInResult(ok=True, tables=count, rows=total, size=size, seconds=round(seconds, 3), files=len(files))


def _told(table: TableRead, rows: int | None, data: str) -> dict[str, str | int]:
    """What is said of one table: rows where they are known, bytes as the component finds them."""
    known = {} if rows is None else {"rows": rows}
    size = table_size(table) if (table.parquet or table.mapping) is None else _delivered(f"{data}/{table.path}")
    return {"table": table.source, **known, "bytes": size}


def _delivered(path: str) -> int:
    """Bytes of what became of a mapped table: of a file, or of the slices in a folder. Nobody else writes here yet."""
    if os.path.isdir(path):  # noqa: PTH112 - pathlib costs ten milliseconds
        with os.scandir(path) as entries:
            return sum(entry.stat().st_size for entry in entries)
    return os.stat(path).st_size  # noqa: PTH116 - likewise


def _scratch(mapped: Sequence[TableRead]) -> int:
    from componentrun.agent.mapping import scratch_bytes  # noqa: PLC0415 - most runs map nothing

    return scratch_bytes(mapped)


def _bring_mapped(client: Client, folder: Folder, data: str, mapped: Sequence[TableRead]) -> dict[str, int]:
    from componentrun.agent.mapping import bring_mapped  # noqa: PLC0415 - likewise

    return bring_mapped(client, folder, data, mapped)


def _bring_parquet(client: Client, folder: Folder, data: str, tables: Sequence[TableRead]) -> dict[str, int]:
    from componentrun.agent.parquet import bring_parquet  # noqa: PLC0415 - only for tables of a catalog

    return bring_parquet(client, folder, data, tables)


def _check_paths(tables: Sequence[TableRead]) -> None:
    """Refuse what would be written outside of in/tables and in/files, or twice."""
    taken: set[str] = set()
    for table in tables:
        parts = table.path.split("/")
        inside = table.path.startswith((f"{contract.IN_TABLES}/", f"{contract.IN_FILES}/"))
        if not inside or {"", ".", ".."} & set(parts) or "\0" in table.path:
            raise UserError(
                f"{table.source}: its destination `{table.path}` is not below `{contract.IN_TABLES}` or "
                f"`{contract.IN_FILES}`",
                Reason.INPUT_INVALID,
            )
        for path in (table.path, table.path + contract.MANIFEST_SUFFIX):
            if path in taken:
                raise UserError(f"{table.source}: `{path}` is written by another input, too", Reason.INPUT_INVALID)
            taken.add(path)


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
