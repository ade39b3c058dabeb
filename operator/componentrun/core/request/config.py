"""The configuration that a component reads: config.json and the environment (contract, Data folder)."""

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

    from componentrun.api.componentrun import ComponentRun, Output
    from componentrun.api.run.configuration import SecretValue
    from componentrun.core.request.files import EffectiveFiles
    from componentrun.core.request.parameters import Parameters
    from componentrun.core.request.requested import EffectiveInput

__all__ = [
    "check_path",
    "check_secret_paths",
    "config_json",
    "environment",
    "plain_secrets",
    "secret_values",
    "state_secrets",
]

_STAGING_PROVIDER: Final = "aws"
"""The name of S3-compatible stores in the contract."""
_RUN_MODE: Final = "run"
_FEATURES: Final = "queuev2"
"""Without this feature, keboola-component assumes an older platform and omits `write_always` from manifests."""
_MOST_PLAIN_SECRET_BYTES: Final = 512 * 2**10
"""Limit for all values that the run's author wrote below `#` keys: half the maximum size of a Secret."""
_MOST_STATE_SECRETS: Final = 100
_MOST_STATE_SECRET_BYTES: Final = 64 * 2**10
"""Limit for all values in a state. A component writes the state, and the Secret with the values is limited to 1 MiB."""


def config_json(
    run: ComponentRun,
    parameters: Parameters,
    image_parameters: dict[str, Any],
    inputs: Sequence[EffectiveInput],
    files: Sequence[EffectiveFiles],
    output: Output,
) -> dict[str, Any]:
    """Content of config.json. It has only these five keys, so that `runtime`, `processors` and others are never added.

    If the parameters are given as text, the key `parameters` is missing here, and stage-in inserts the text unchanged.
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
        "image_parameters": image_parameters,
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
    """The contract's variables with both prefixes, KBC_ and COMPONENTRUN_. Variables without a value are not set.

    Args:
        run: the run.
        component_id: value of KBC_COMPONENTID.
        type_support: `dataTypeSupport` of the component.
        logger: whether the pod has a GELF server.
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


def plain_secrets(
    parameters: Parameters, image_parameters: dict[str, Any], others: Sequence[dict[str, Any]] = ()
) -> tuple[str, ...]:
    """Values below `#` keys that the run's author wrote in plain text, without duplicates.

    Args:
        parameters: parameters of the component.
        image_parameters: image parameters of the run.
        others: parameters of processors.

    Raises:
        UserError: (InvalidSpec) the values are too large for the pod's Secret.
    """
    secrets = tuple(
        dict.fromkeys(
            [
                *_secret_texts(parameters.value, secret=False),
                *(text for values in (image_parameters, *others) for text in _secret_texts(values, secret=False)),
            ]
        )
    )
    if (size := sum(len(text.encode(errors="surrogatepass")) for text in secrets)) > _MOST_PLAIN_SECRET_BYTES:
        raise UserError(
            f"spec.configuration: the values of keys that start with `#` have {size} bytes; expected at most "
            f"{_MOST_PLAIN_SECRET_BYTES}, as all of them are redacted in events",
            Reason.INVALID_SPEC,
            advice="Rename keys that hold no secret.",
        )
    return secrets


def state_secrets(state: dict[str, Any]) -> tuple[str, ...]:
    """Values below `#` keys of a configuration's state, in which components store renewed tokens, without duplicates.

    Only the first ones that fit are returned, so that an unusually large state does not prevent the run from starting.
    """
    secrets: dict[str, None] = {}
    remaining = _MOST_STATE_SECRET_BYTES
    for text in _secret_texts(state, secret=False):
        if len(text) < SHORTEST or text in secrets or (size := len(text.encode())) > remaining:
            continue
        secrets[text] = None
        remaining -= size
        if len(secrets) == _MOST_STATE_SECRETS:
            break
    return tuple(secrets)


def secret_values(parameters: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Values below `#` keys with their paths: `db.#password`."""

    def walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in items:
            yield from walk(item, (*path, str(key)))
        if isinstance(value, str) and any(key.startswith(contract.SECRET_KEY_PREFIX) for key in path):
            yield ".".join(path), value

    yield from walk(parameters, ())


def _secret_texts(value: Any, *, secret: bool) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            is_secret = key.startswith(contract.SECRET_KEY_PREFIX)
            if is_secret and isinstance(item, int | float) and not isinstance(item, bool):
                yield json.dumps(item)  # such as a PIN; numbers at deeper levels are ports and the like
            else:
                yield from _secret_texts(item, secret=secret or is_secret)
    elif isinstance(value, list):
        for item in value:
            yield from _secret_texts(item, secret=secret)
    elif secret and isinstance(value, str) and value:
        yield value


def check_secret_paths(secrets: Sequence[SecretValue], parameters: Parameters) -> None:
    """Check that the path of every secret exists or can be created in the parameters, and is unique.

    Raises:
        UserError: (InvalidSpec) a path is invalid or used twice; the message names the secret.
    """
    positions: dict[str, int] = {}
    for i, secret in enumerate(secrets):
        where = f"spec.configuration.secrets[{i}].path"
        if secret.path in positions:
            raise UserError(
                f"{where}: `{secret.path}` is also the path of secrets[{positions[secret.path]}]",
                Reason.INVALID_SPEC,
                advice="Use each path once.",
            )
        positions[secret.path] = i
        check_path(parameters.value, secret.path, where)


def check_path(parameters: dict[str, Any], path: str, where: str) -> None:
    """Check that a value can be inserted at a path of the parameters.

    Args:
        parameters: any JSON object.
        path: path of the value.
        where: field that names the path, for messages.

    Raises:
        UserError: (InvalidSpec) the path leads through a plain value, or past the end of a list.
    """
    place: Any = parameters
    *parents, last = keys_of(path)
    for part in parents:
        place = _child(place, part, path, where)
        if place is None:
            return  # does not exist: stage-in creates the objects of the path
    if not isinstance(place, dict):
        _child(place, last, path, where)


def _child(place: Any, part: str, path: str, where: str) -> Any:
    """The child of a value; None if it does not exist and stage-in may create it."""
    if isinstance(place, dict):
        return place.get(part)
    if isinstance(place, list):
        if part.isdecimal() and int(part) < len(place):
            return place[int(part)]
        actual = f"a list of {len(place)}"
    else:
        actual = "a plain value"
    raise UserError(
        f"{where}: `{path}` leads nowhere: before `{part}` the parameters hold {actual}; expected an object"
        " or, in a list, an index that it has",
        Reason.INVALID_SPEC,
    )
