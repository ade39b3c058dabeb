"""What the component reads about its run: config.json and the environment (contract, Data folder)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from componentrun import contract
from componentrun.core.redact.redactor import SHORTEST
from componentrun.core.request.files import input_file_entry, output_file_entry
from componentrun.core.request.mapping import input_entry, output_entry
from componentrun.errors import Reason, UserError
from componentrun.wire.secretpaths import keys_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from componentrun.api.componentrun import ComponentRun, Output, SecretValue
    from componentrun.core.request.files import EffectiveFiles
    from componentrun.core.request.parameters import Parameters
    from componentrun.core.request.requested import EffectiveInput

__all__ = ["check_secret_paths", "config_json", "environment", "plain_secrets", "state_secrets"]

_STAGING_PROVIDER: Final = "aws"
"""What components know an S3-compatible store as."""
_RUN_MODE: Final = "run"
_FEATURES: Final = "queuev2"
"""Without it, keboola-component takes the platform for its predecessor and leaves `write_always` out of manifests."""
_MOST_PLAIN_SECRET_BYTES: Final = 512 * 2**10
"""Of what the run's author wrote below `#` keys: half of what a Secret holds."""
_MOST_STATE_SECRETS: Final = 100
_MOST_STATE_SECRET_BYTES: Final = 64 * 2**10
"""Of a state, all together. A component writes it, and the Secret that holds them for the collector has 1 MiB."""


def config_json(
    run: ComponentRun,
    parameters: Parameters,
    inputs: Sequence[EffectiveInput],
    files: Sequence[EffectiveFiles],
    output: Output,
) -> dict[str, Any]:
    """Content of config.json: exactly these five keys, so that `runtime`, `processors` and the like never get in.

    Where the parameters are a text, stage-in puts it in as it is; without it there are four.
    """
    return {
        **({"parameters": parameters.value} if parameters.text is None else {}),
        "storage": {
            "input": {
                "tables": [input_entry(item) for item in inputs],
                "files": [input_file_entry(item) for item in files],
            },
            "output": _output_mapping(output),
        },
        "image_parameters": run.spec.configuration.image_parameters,
        "authorization": {},
        "action": run.spec.action,
    }


def _output_mapping(output: Output) -> dict[str, Any]:
    mapping: dict[str, Any] = {
        "tables": [output_entry(table) for table in output.tables],
        "files": [output_file_entry(file) for file in output.files],
    }
    if output.default_bucket:
        mapping["default_bucket"] = output.default_bucket
    return mapping


def environment(run: ComponentRun, component_id: str, type_support: str, *, logger: bool = False) -> dict[str, str]:
    """The contract's variables in both forms, KBC_ and COMPONENTRUN_. What the run does not say is not set.

    Args:
        run: the run.
        component_id: KBC_COMPONENTID.
        type_support: what the component knows of column types.
        logger: whether there is a GELF server beside the component.
    """
    configuration = run.spec.configuration
    values = {
        contract.ENV_DATA_DIR: f"{contract.DATA_DIR}/",
        contract.ENV_RUN_ID: run.metadata.name,
        contract.ENV_PROJECT_ID: run.metadata.namespace,
        contract.ENV_CONFIG_ID: configuration.id,
        contract.ENV_CONFIG_VERSION: configuration.version,
        contract.ENV_CONFIG_ROW_ID: configuration.row,
        contract.ENV_COMPONENT_ID: component_id,
        contract.ENV_BRANCH_ID: configuration.branch or contract.DEFAULT_BRANCH,
        contract.ENV_STAGING_FILE_PROVIDER: _STAGING_PROVIDER,
        contract.ENV_COMPONENT_RUN_MODE: _RUN_MODE,
        contract.ENV_DATA_TYPE_SUPPORT: type_support,
        contract.ENV_FEATURE_GATES: _FEATURES,
        contract.ENV_LOGGER_ADDRESS: contract.LOGGER_ADDRESS if logger else None,
        contract.ENV_LOGGER_PORT: str(contract.LOGGER_PORT) if logger else None,
    }
    return {
        prefix + name: value
        for name, value in values.items()
        if value is not None
        for prefix in (contract.ENV_PREFIX, contract.ENV_TWIN_PREFIX)
    }


def plain_secrets(parameters: Parameters, image_parameters: dict[str, Any]) -> tuple[str, ...]:
    """Texts below `#` keys that the run's author wrote in plain text; each once.

    Raises:
        UserError: (InvalidSpec) they have more bytes than the pod's Secret has room for.
    """
    found = tuple(
        dict.fromkeys(
            [
                *_secret_texts(parameters.value, secret=False),
                *_secret_texts(image_parameters, secret=False),
            ]
        )
    )
    if (size := sum(len(text.encode(errors="surrogatepass")) for text in found)) > _MOST_PLAIN_SECRET_BYTES:
        raise UserError(
            f"spec.configuration: the values of keys that start with `#` have {size} bytes; expected at most "
            f"{_MOST_PLAIN_SECRET_BYTES}, as all of them are looked for in events; rename keys that hold no secret",
            Reason.INVALID_SPEC,
        )
    return found


def state_secrets(state: dict[str, Any]) -> tuple[str, ...]:
    """Texts below `#` keys of what the configuration remembers, where components keep renewed tokens; each once.

    The first ones that fit: a state that holds more than anybody needs must not keep the run from starting.
    """
    found: dict[str, None] = {}
    left = _MOST_STATE_SECRET_BYTES
    for text in _secret_texts(state, secret=False):
        if len(text) < SHORTEST or text in found or (size := len(text.encode())) > left:
            continue
        found[text] = None
        left -= size
        if len(found) == _MOST_STATE_SECRETS:
            break
    return tuple(found)


def _secret_texts(value: Any, *, secret: bool) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            marked = key.startswith(contract.SECRET_KEY_PREFIX)
            if marked and isinstance(item, int | float) and not isinstance(item, bool):
                yield json.dumps(item)  # a PIN; deeper ones are ports and the like
            else:
                yield from _secret_texts(item, secret=secret or marked)
    elif isinstance(value, list):
        for item in value:
            yield from _secret_texts(item, secret=secret)
    elif secret and isinstance(value, str) and value:
        yield value


def check_secret_paths(secrets: Sequence[SecretValue], parameters: Parameters) -> None:
    """Every secret's path must lead to a place in `parameters`, and to its own.

    Raises:
        UserError: INVALID_SPEC naming the secret.
    """
    seen: dict[str, int] = {}
    for i, secret in enumerate(secrets):
        where = f"spec.configuration.secrets[{i}].path"
        if secret.path in seen:
            raise UserError(
                f"{where}: `{secret.path}` is also the path of secrets[{seen[secret.path]}]: give each its own",
                Reason.INVALID_SPEC,
            )
        seen[secret.path] = i
        _check_path(parameters.value, secret.path, where)


def _check_path(parameters: dict[str, Any], path: str, where: str) -> None:
    place: Any = parameters
    *parents, last = keys_of(path)
    for part in parents:
        place = _child(place, part, path, where)
        if place is None:
            return  # not there: stage-in creates the objects on the way
    if not isinstance(place, dict):
        _child(place, last, path, where)


def _child(place: Any, part: str, path: str, where: str) -> Any:
    """The value one step down; None where stage-in may create it."""
    if isinstance(place, dict):
        return place.get(part)
    if isinstance(place, list):
        if part.isdecimal() and int(part) < len(place):
            return place[int(part)]
        found = f"a list of {len(place)}"
    else:
        found = "a plain value"
    raise UserError(
        f"{where}: `{path}` leads nowhere: before `{part}` the parameters hold {found}; expected an object"
        " or, in a list, an index that it has",
        Reason.INVALID_SPEC,
    )
