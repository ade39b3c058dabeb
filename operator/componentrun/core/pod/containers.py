"""The containers of a run's pod: the component, the two agents, and a GELF server where the Component wants one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from componentrun import contract
from componentrun.api import names
from componentrun.api.common import quantity_value
from componentrun.core.pod.security import container_security
from componentrun.core.pod.volumes import mounts
from componentrun.core.request.image import pull_policy
from componentrun.wire import agents as exchange

if TYPE_CHECKING:
    from componentrun.api.component import Gelf
    from componentrun.core.pod.settings import PodSettings
    from componentrun.core.request.resolve import EffectiveRun

__all__ = ["KUBERNETES_VARIABLES", "component", "gelf", "stage_in", "stage_out"]

KUBERNETES_VARIABLES: Final = (
    "KUBERNETES_PORT",
    "KUBERNETES_PORT_443_TCP",
    "KUBERNETES_PORT_443_TCP_ADDR",
    "KUBERNETES_PORT_443_TCP_PORT",
    "KUBERNETES_PORT_443_TCP_PROTO",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "KUBERNETES_SERVICE_PORT_HTTPS",
)
"""What a kubelet tells each container of the service `kubernetes`, whatever `enableServiceLinks` says. A variable of
the container's own wins; none can be taken away. The API server makes that service with one port, 443, named `https`;
of further ports that somebody gave it, nothing is known here."""
_EPHEMERAL: Final = "ephemeral-storage"
_PREFIXES: Final = (contract.ENV_PREFIX, contract.ENV_TWIN_PREFIX)
_AGENT_SCRATCH_BYTES: Final = 2 * 2**30
"""What the agents may use beside the data folder: a /tmp each."""
_AGENT_EPHEMERAL_REQUEST: Final = "16Mi"
_GELF_START_SECONDS: Final = 60
"""For the GELF server to listen; it takes a tenth of a second. Then the kubelet starts it again."""


def stage_in(effective: EffectiveRun, image: str, settings: PodSettings) -> dict[str, Any]:
    """Brings the input, then ends; the component starts after it."""
    del effective
    return _agent(names.STAGE_IN, exchange.STAGE_IN_COMMAND, image, settings)


def stage_out(effective: EffectiveRun, image: str, settings: PodSettings) -> dict[str, Any]:
    """A native sidecar, the first of all: it has to listen for SIGTERM before the component can possibly end."""
    container = _agent(names.STAGE_OUT, exchange.STAGE_OUT_COMMAND, image, settings) | {
        "restartPolicy": "Always",
        # What the operator reads from the pod and nobody can change; the agent needs none of it.
        "env": [
            {"name": names.TIMEOUT_VARIABLE, "value": str(effective.timeout_seconds)},
            *(
                [{"name": names.GROUP_VARIABLE, "value": effective.concurrency_group}]
                if effective.concurrency_group
                else []
            ),
        ],
    }
    if _EPHEMERAL in effective.limits:
        # The kubelet adds up the containers' limits and counts the data folder against the sum. Without room for it
        # here, a limit meant for the component's own files would evict the pod as soon as its tables are larger.
        room = quantity_value(effective.data_size) + _AGENT_SCRATCH_BYTES
        container["resources"]["limits"][_EPHEMERAL] = str(round(room))
    return container


def gelf(server: Gelf, image: str, settings: PodSettings) -> dict[str, Any]:
    """A native sidecar, the last of all: the component starts when it listens, and it ends before stage-out begins.

    It mounts nothing of the run and holds no grant: it reads what the component sends it.
    """
    visibility = contract.GELF_VISIBILITY | (server.visibility or {})
    chosen = ",".join(f"{level}={visibility[level]}" for level in contract.GELF_LEVELS)
    command = (*exchange.GELF_COMMAND, "--server", server.server, "--visibility", chosen)
    return _agent(names.GELF, command, image, settings) | {
        "restartPolicy": "Always",
        "startupProbe": {
            "exec": {"command": ["test", "-e", exchange.GELF_READY]},
            "periodSeconds": 1,
            "failureThreshold": _GELF_START_SECONDS,
        },
    }


def component(effective: EffectiveRun, settings: PodSettings, secret: str) -> dict[str, Any]:
    """The user's image as it is: no wrapper, its own entrypoint unless the run or its Component replace it.

    Args:
        effective: the run.
        settings: what holds for every pod.
        secret: name of the attempt's Secret, which holds the token where one is forwarded.
    """
    env = {
        **effective.env,
        **dict.fromkeys(KUBERNETES_VARIABLES, ""),
        **{prefix + contract.ENV_STACK_ID: settings.stack_id for prefix in _PREFIXES},
    }
    plain = [{"name": name, "value": _literal(value)} for name, value in env.items()]
    container: dict[str, Any] = {
        "name": names.COMPONENT,
        "image": effective.image,
        "imagePullPolicy": pull_policy(effective.image),
        "env": sorted([*plain, *_forwarded(effective, secret)], key=lambda item: str(item["name"])),
        "resources": {"limits": dict(effective.limits), "requests": dict(effective.requests)},
        "securityContext": container_security(read_only_root=effective.read_only_root),
        "volumeMounts": mounts(names.COMPONENT, read_only_root=effective.read_only_root),
        # The end of its log becomes its last words, unless it writes a message itself.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if effective.command is not None:
        container["command"] = [_literal(part) for part in effective.command]
    if effective.args is not None:
        container["args"] = [_literal(part) for part in effective.args]
    return container


def _forwarded(effective: EffectiveRun, secret: str) -> list[dict[str, Any]]:
    """The token that the Component forwards. The kubelet takes it from the attempt's Secret."""
    forward = effective.forward_token
    if forward is None:
        return []
    ref = {"secretKeyRef": {"name": secret, "key": exchange.TOKEN_KEY}}
    return [
        {"name": prefix + name, **value}
        for prefix in _PREFIXES
        for name, value in (
            (contract.ENV_TOKEN, {"valueFrom": ref}),
            (contract.ENV_URL, {"value": _literal(forward.url)}),
        )
    ]


def _agent(name: str, command: tuple[str, ...], image: str, settings: PodSettings) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "resources": {
            "requests": {
                "cpu": settings.agent_cpu_request,
                "memory": settings.agent_memory_request,
                _EPHEMERAL: _AGENT_EPHEMERAL_REQUEST,
            },
            # No CPU limit: it makes the interpreter's start slow, and that is most of what an agent does.
            # No ephemeral-storage limit: the kubelet would count the data folder against it.
            "limits": {"memory": settings.agent_memory_limit},
        },
        "securityContext": container_security(read_only_root=True),
        "volumeMounts": mounts(name, read_only_root=True),
        # Its message is its result: never a piece of its log instead.
        "terminationMessagePolicy": "File",
    }


def _literal(text: str) -> str:
    """The text so that it arrives as it was written: Kubernetes reads `$(NAME)` as a variable, `$$` as one dollar."""
    return text.replace("$", "$$") if "$(" in text or "$$" in text else text
