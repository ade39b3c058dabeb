"""The configuration of a run: parameters, secrets and identity."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from componentrun import contract
from componentrun.api.common import ApiModel, LocalName, SecretKeyRef
from componentrun.wire.secretpaths import PATTERN as SECRET_PATH

__all__ = ["ConfigMapKeyRef", "Configuration", "ParametersFrom", "SecretValue"]

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$", max_length=63)]


class SecretValue(ApiModel):
    """One secret parameter. Its value is written to config.json inside the pod and nowhere else."""

    path: Annotated[str, Field(pattern=SECRET_PATH, max_length=512)]
    """Path of the value below `parameters`, e.g. `db.#password`. Items of lists are addressed by their index. Escape a
    dot in a key as `\\.`."""
    secret_key_ref: SecretKeyRef
    """Secret key that holds the value."""


class ConfigMapKeyRef(ApiModel):
    """One key of a ConfigMap of the same namespace."""

    name: LocalName
    """Name of the ConfigMap."""
    key: Annotated[str, Field(min_length=1, max_length=253)]
    """Key in `data` or `binaryData`."""


class ParametersFrom(ApiModel):
    """Source of parameters that are not part of the run."""

    config_map_key_ref: ConfigMapKeyRef
    """Key of a ConfigMap. Its value is a JSON object as text; in `binaryData` it may be compressed with gzip."""


class Configuration(ApiModel):
    """Configuration of the component: its parameters, secrets and identity."""

    id: Identifier | None = None
    """Identifier of the configuration in the system that created the run."""
    version: Annotated[str, Field(max_length=63)] | None = None
    """Version of the configuration."""
    row: Identifier | None = None
    """Identifier of the configuration's row."""
    branch: Identifier | None = None
    """Branch of the configuration. Defaults to `default`."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """A JSON object, which the component reads as `parameters` in config.json. Kubernetes sorts its keys and rewrites
    its numbers; use `parametersText` to keep both. At most one of `parameters`, `parametersText` and `parametersFrom`
    may be given."""
    parameters_text: Annotated[str, Field(min_length=2, max_length=contract.MAX_PARAMETERS_TEXT)] | None = None
    """A JSON object as text. It becomes `parameters` in config.json unchanged: key order, number format and white space
    are kept."""
    parameters_from: ParametersFrom | None = None
    """Source of the text of `parameters`, read when an attempt starts. Use it for parameters that are too large for the
    run."""
    secrets: Annotated[tuple[SecretValue, ...], Field(max_length=64)] = ()
    """Values from Secrets to insert into the parameters."""
    image_parameters: dict[str, Any] = Field(default_factory=dict)
    """A JSON object, which the component reads as `image_parameters` in config.json."""
