"""Entry point of stage-in: reads its grant and plan, and writes the input, manifests and config.json."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, Final

from componentrun import contract
from componentrun.agent.folder import LARGER_DATA_FOLDER, Folder
from componentrun.agent.memory import keep_blocks
from componentrun.agent.plan import fetch_plan
from componentrun.agent.progress import WORTH_A_LINE, amount, say
from componentrun.agent.stagein.download import download, file_size
from componentrun.agent.stagein.secrets import with_secrets
from componentrun.agent.transfer import Client, Patience
from componentrun.errors import Reason, UserError
from componentrun.wire.agents import FileRead, StageInPlan, StageInResult
from componentrun.wire.chain import CHAIN_MOUNT, GROUP_UMASK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.wire.agents import CsvRead, TableRead
    from componentrun.wire.grants import GrantIn

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
"""config.json contains secrets; the component has the same user id as this agent."""


def stage_in(grant: GrantIn, data: str, patience: Patience | None = None, chain: str = CHAIN_MOUNT) -> StageInResult:
    """Deliver the input.

    Args:
        grant: the URL of the plan, and the secrets.
        data: path of the data folder.
        patience: timeouts for a store that does not respond; None: those of production.
        chain: path of the volume for the agents of a pod with processors.

    Raises:
        UserError: (DiskFull, InvalidSpec, InputInvalid) the run's author can fix it.
        PlatformError: see `Client.send`.
    """
    started = time.monotonic()
    keep_blocks()
    with Client(grant.ca_bundle, patience or Patience()) as client:
        plan = fetch_plan(client, grant.plan_url, StageInPlan, "the plan of stage-in")
        _check_paths([*_tables(plan), *plan.files])
        if plan.steps:
            os.umask(GROUP_UMASK)
        rows = _bring(client, data, plan, grant)
        if plan.steps:
            _prepare_steps(plan, grant, data, chain)
    return _report(plan, data, rows, time.monotonic() - started)


def _bring(client: Client, data: str, plan: StageInPlan, grant: GrantIn) -> dict[str, int]:
    """Deliver everything in the plan. Returns the number of rows by path, for tables whose number is known."""
    files = [FileRead(item.source, item.path, (item.object,), None) for item in plan.objects if not item.needs_query]
    files += plan.files
    queries = [item for item in plan.objects if item.needs_query]
    size = sum(map(file_size, files))
    stored = size + sum(item.object.size for item in queries) + sum(table.parquet.size for table in plan.tables)
    if stored >= WORTH_A_LINE:
        say("info", f"Bringing the input: {amount(len(_tables(plan)), stored, len(plan.files))}.")
    with Folder(data) as folder:
        for path in _FOLDERS:
            folder.make(path)
        # The size of converted tables is known only after the conversion.
        _check_space(folder, size + max((item.object.size for item in queries), default=0))
        _write_config(folder, plan, grant)
        download(client, folder, files)
        rows = _bring_csv(client, folder, data, queries) if queries else {}
        return rows | (_bring_parquet(client, folder, data, plan.tables) if plan.tables else {})


def _write_config(folder: Folder, plan: StageInPlan, grant: GrantIn) -> None:
    """Write config.json of the first step, and the state if that is the component."""
    first = plan.steps[0] if plan.steps else None
    if first is not None and first.config is not None:
        folder.write(contract.CONFIG_FILE, _processor_config(first.name, first.config, grant), _CONFIG_MODE)
        return
    folder.write(contract.CONFIG_FILE, config_content(plan, grant.secrets, grant.image_secrets), _CONFIG_MODE)
    folder.write(contract.IN_STATE, _encode(plan.state))


def _prepare_steps(plan: StageInPlan, grant: GrantIn, data: str, chain: str) -> None:
    """Leave the agents between the steps what they need."""
    from componentrun.agent.steps.notes import write_plan  # noqa: PLC0415 - runs without processors start faster
    from componentrun.agent.steps.turning import share  # noqa: PLC0415 - likewise

    configs = {
        step.name: config_content(plan, grant.secrets, grant.image_secrets)
        if step.config is None
        else _processor_config(step.name, step.config, grant)
        for step in plan.steps[1:]
    }
    has_input = bool(_tables(plan) or plan.files)
    with Folder(chain) as notes:
        write_plan(notes, plan.steps, configs, _encode(plan.state), has_input=has_input)
    if len({step.user_id for step in plan.steps}) > 1:
        share(data)


def _report(plan: StageInPlan, data: str, rows: dict[str, int], seconds: float) -> StageInResult:
    """Log what was delivered: for each table the rows, if known, and the bytes as the component finds them."""
    tables: list[dict[str, str | int]] = []
    size = sum(map(file_size, plan.files))
    for item in _tables(plan):
        counts = {"rows": rows[item.path]} if item.path in rows else {}
        delivered_size = _delivered(f"{data}/{item.path}")
        tables.append({"table": item.source, **counts, "bytes": delivered_size})
        size += delivered_size
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
    """Bytes of a file, or of the slices in a folder. Only this agent has written here so far."""
    if os.path.isdir(path):  # noqa: PTH112 - pathlib costs ten milliseconds
        with os.scandir(path) as entries:
            return sum(entry.stat().st_size for entry in entries)
    return os.stat(path).st_size  # noqa: PTH116 - likewise


def _bring_csv(client: Client, folder: Folder, data: str, objects: Sequence[CsvRead]) -> dict[str, int]:
    from componentrun.agent.stagein.csvobjects import bring_csv  # noqa: PLC0415 - few runs select parts of objects

    return bring_csv(client, folder, data, objects)


def _bring_parquet(client: Client, folder: Folder, data: str, tables: Sequence[TableRead]) -> dict[str, int]:
    from componentrun.agent.stagein.parquet import bring_parquet  # noqa: PLC0415 - runs without tables start faster

    return bring_parquet(client, folder, data, tables)


def _tables(plan: StageInPlan) -> list[TableRead | CsvRead]:
    return [*plan.tables, *plan.objects]


def _check_paths(inputs: Sequence[TableRead | CsvRead | FileRead]) -> None:
    """Refuse paths outside of in/tables and in/files, and duplicate paths."""
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
            f"the input has {size} bytes, but the data folder has room for {free}",
            Reason.DISK_FULL,
            advice=LARGER_DATA_FOLDER,
        )


def config_content(plan: StageInPlan, secrets: dict[str, str], image_secrets: dict[str, str]) -> bytes:
    """Content of config.json: the parameters as text, or as the JSON object that Kubernetes stored.

    Args:
        plan: the plan.
        secrets: values to insert into the parameters, by path.
        image_secrets: values to insert into the image parameters, by path.
    """
    config: dict[str, Any] = {"parameters": {}} | plan.config
    texts = {key: _text(value).replace("\n", "\n  ") for key, value in config.items()}
    parameters = texts["parameters"] if plan.parameters_text is None else plan.parameters_text
    texts["parameters"] = with_secrets(parameters, secrets)
    return _with_image_secrets(texts, image_secrets)


def _processor_config(name: str, config: dict[str, Any], grant: GrantIn) -> bytes:
    """Content of config.json of a processor."""
    texts = {key: _text(value).replace("\n", "\n  ") for key, value in config.items()}
    return _with_image_secrets(texts, grant.step_secrets.get(name, {}))


def _with_image_secrets(texts: dict[str, str], image_secrets: dict[str, str]) -> bytes:
    """The members as one JSON object."""
    if image_secrets:
        texts["image_parameters"] = with_secrets(texts.get("image_parameters", "{}"), image_secrets)
    members = ",\n".join(f'  "{key}": {text}' for key, text in texts.items())
    return f"{{\n{members}\n}}\n".encode()


def _encode(document: dict[str, Any]) -> bytes:
    return f"{_text(document)}\n".encode()


def _text(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2)
