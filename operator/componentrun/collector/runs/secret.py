"""The secret values of one run, read once for each of its pods.

Lines are never delivered without them. While the run's Secret can't be read, its logs are not read and stay on the
node. If it can't be read until the run is over, its lines are withheld and an event says so: a lost line is less
harmful than a published key.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any, Final

from componentrun.core.redact.masks import key_of_secret
from componentrun.core.redact.redactor import Redactor
from componentrun.process.kubernetes.errors import KubeError
from componentrun.process.kubernetes.resources import SECRETS
from componentrun.wire.grants import REDACT_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.collector.runs.facts import PodFacts
    from componentrun.process.kubernetes.client import Kube

__all__ = ["SecretReader", "redactor_of"]

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0


class SecretReader:
    """Reads one pod's Secret in the background.

    Attributes:
        redactor: set when the Secret was read.
        key: encrypts what the checkpoint must not show; set with the redactor.
        given_up: why it can't be read; empty while it is retried.
    """

    def __init__(self, kube: Kube, pod: PodFacts, *, hopeless: Callable[[], bool]) -> None:
        """Read the Secret with the pod's name; `hopeless` returns whether to stop retrying."""
        self._kube, self._pod, self._hopeless = kube, pod, hopeless
        self.redactor: Redactor | None = None
        self.key = b""
        self.given_up = ""

    async def run(self) -> None:
        """Retry until it is read or hopeless. It is created after its pod, so it may not exist yet."""
        pause = _FIRST_PAUSE
        while True:
            hopeless = self._hopeless()
            try:
                secret = _of_pod(await self._kube.get(SECRETS, self._pod.namespace, self._pod.name), self._pod)
                self.redactor, self.key = redactor_of(secret), key_of_secret(secret)
            except (KubeError, ValueError) as error:
                if hopeless:
                    self.given_up = str(error)
                    return
            else:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


def _of_pod(secret: dict[str, Any], pod: PodFacts) -> dict[str, Any]:
    """The Secret, if it belongs to this pod.

    Raises:
        ValueError: it belongs to a later pod of the same name, whose values may differ.
    """
    owners = [owner.get("uid") for owner in secret["metadata"].get("ownerReferences") or ()]
    if owners and pod.uid not in owners:
        raise ValueError(f"the Secret `{pod.name}` is that of another pod of this name")
    return secret


def redactor_of(secret: dict[str, Any]) -> Redactor:
    """The redactor for the values that the Secret lists.

    Raises:
        ValueError: it has no such list; the message does not quote its content.
    """
    name = (secret.get("metadata") or {}).get("name")
    encoded = (secret.get("data") or {}).get(REDACT_KEY)
    if encoded is None:
        raise ValueError(f"the Secret `{name}` has no key `{REDACT_KEY}`")
    try:
        values = json.loads(base64.b64decode(encoded))
    except ValueError:
        values = None  # reported below, as the cause would quote the content
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"the key `{REDACT_KEY}` of the Secret `{name}` is not a JSON list of strings")
    return Redactor(values)
