"""Reads the Secrets that a run or its Component references when an attempt starts, each Secret once."""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from componentrun.api import names
from componentrun.controller.watching.caches import Key
from componentrun.errors import Reason, UserError
from componentrun.process.kubernetes.storages import find_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from componentrun.api.common import SecretKeyRef
    from componentrun.api.componentrun import ComponentRun
    from componentrun.core.request.resolve import EffectiveRun
    from componentrun.process.kubernetes.client import Kube

__all__ = ["SecretValues", "forwarded_token", "read_values", "secret_values"]


@dataclass(frozen=True, slots=True)
class SecretValues:
    """Values from Secrets to insert into config.json, by path."""

    parameters: dict[str, str] = field(repr=False)
    """Below `parameters` of the component."""
    image: dict[str, str] = field(repr=False)
    """Below `image_parameters` of the component."""
    steps: dict[str, dict[str, str]] = field(repr=False)
    """Below `image_parameters` of the processors, by the names of their containers."""

    def all(self) -> Iterator[str]:
        """All values."""
        for values in (self.parameters, self.image, *self.steps.values()):
            yield from values.values()


async def secret_values(kube: Kube, run: ComponentRun, effective: EffectiveRun) -> SecretValues:
    """Values of the run's secrets, and of the secret image parameters of its Component and its processors.

    Raises:
        UserError: (SecretNotFound) a Secret or entry is missing or not text; (InvalidSpec) it is an attempt's Secret.
        TransientError: the API server is unavailable.
    """
    namespace, what = run.metadata.namespace, "the image parameter"
    wanted = {item.path: item.secret_key_ref for item in run.spec.configuration.secrets}
    references = (wanted, effective.image_secrets, *(step.image_secrets for step in effective.processors))
    secrets = await _read(kube, namespace, references)
    return SecretValues(
        _values(secrets, namespace, wanted, "the parameter"),
        _values(secrets, namespace, effective.image_secrets, what),
        {
            step.container: _values(secrets, namespace, step.image_secrets, f"{what} of `{step.component}`")
            for step in effective.processors
            if step.image_secrets
        },
    )


async def read_values(kube: Kube, namespace: str, wanted: Mapping[str, SecretKeyRef], what: str) -> dict[str, str]:
    """Values from Secrets of a namespace, each Secret read once.

    Args:
        kube: the API server.
        namespace: namespace of the Secrets.
        wanted: the entries, by any names.
        what: what each of them is, for messages.

    Raises:
        UserError, TransientError: see `secret_values`.
    """
    return _values(await _read(kube, namespace, [wanted]), namespace, wanted, what)


async def forwarded_token(kube: Kube, run: ComponentRun, effective: EffectiveRun) -> str | None:
    """The token for the component, if its Component forwards one.

    Raises:
        UserError, TransientError: see `secret_values`.
    """
    if effective.forward_token is None:
        return None
    ref = effective.forward_token.token_secret_ref
    found = await find_secret(kube, run.metadata.namespace, ref.name)
    return _value(found, Key(run.metadata.namespace, ref.name), ref.key, "the forwarded token")


async def _read(
    kube: Kube, namespace: str, references: Iterable[Mapping[str, SecretKeyRef]]
) -> dict[Key, dict[str, Any] | None]:
    """The Secrets that are referenced, each read once; None: it does not exist."""
    secret_names = sorted({ref.name for items in references for ref in items.values()})
    found = await asyncio.gather(*(find_secret(kube, namespace, name) for name in secret_names))
    return {Key(namespace, name): secret for name, secret in zip(secret_names, found, strict=True)}


def _values(
    secrets: Mapping[Key, dict[str, Any] | None], namespace: str, wanted: Mapping[str, SecretKeyRef], what: str
) -> dict[str, str]:
    keys = {path: Key(namespace, ref.name) for path, ref in wanted.items()}
    return {path: _value(secrets[keys[path]], keys[path], ref.key, f"{what} `{path}`") for path, ref in wanted.items()}


def _value(secret: dict[str, Any] | None, key: Key, entry: str, what: str) -> str:
    """The text of one entry of a Secret.

    Raises:
        UserError: (SecretNotFound) the Secret or entry is missing or not text; (InvalidSpec) it is an attempt's Secret.
    """
    source = f"{what} is to come from key `{entry}` of Secret `{key}`"
    if secret is None:
        raise UserError(f"{source}, and there is no such Secret", Reason.SECRET_NOT_FOUND)
    if names.ATTEMPT_LABEL in (secret["metadata"].get("labels") or {}):
        # Its name is predictable, and the author of a run may lack the permission to read Secrets.
        raise UserError(
            f"{source}, which holds the grants of a run and the secrets of its author",
            Reason.INVALID_SPEC,
            advice="Name a Secret of your own.",
        )
    data = secret.get("data") or {}
    if entry not in data:
        there = ", ".join(f"`{name}`" for name in sorted(data)) or "none"
        raise UserError(f"{source}, which has no such key (it has: {there})", Reason.SECRET_NOT_FOUND)
    try:
        return base64.b64decode(data[entry], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise UserError(f"{source}, which is not UTF-8 text", Reason.SECRET_NOT_FOUND) from None
