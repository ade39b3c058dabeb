"""The containers of a run's pod: the component, its processors, the agents, and a GELF server if one is requested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from componentrun import contract
from componentrun.api import names
from componentrun.api.common import quantity_value
from componentrun.core.pod.security import container_security
from componentrun.core.pod.steps import first_user, last_user, steps_of, steps_text
from componentrun.core.pod.volumes import mounts
from componentrun.core.request.image import pull_policy
from componentrun.wire import agents as exchange
from componentrun.wire import grants
from componentrun.wire.chain import POD_TERMINATION_BYTES, STEP_COMMAND, TERMINATION_BYTES, TERMINATION_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.api.component import Gelf
    from componentrun.core.pod.settings import PodSettings
    from componentrun.core.request.processors import EffectiveProcessor
    from componentrun.core.request.resolve import EffectiveRun

__all__ = ["KUBERNETES_VARIABLES", "component", "gelf", "stage_in", "stage_out", "steps"]

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
"""Variables of the service `kubernetes` that a kubelet sets even if `enableServiceLinks` is false. A container can
override them, but not remove them. The API server creates this service with one port, 443, named `https`. Variables of
ports that were added manually are not overridden."""
_EPHEMERAL: Final = "ephemeral-storage"
_PREFIXES: Final = (contract.ENV_PREFIX, contract.ENV_TWIN_PREFIX)
_AGENT_SCRATCH_BYTES: Final = 2 * 2**30
"""Ephemeral storage of the agents in addition to the data folder: a /tmp for each."""
_AGENT_EPHEMERAL_REQUEST: Final = "16Mi"
_INJECTED: Final = 2
"""Containers that others may add to a pod: sidecars of a mesh, debug containers."""
_GELF_START_SECONDS: Final = 60
"""Time limit for the GELF server to start, after which the kubelet restarts it. It normally takes 0.1 s."""


def stage_in(effective: EffectiveRun, image: str, settings: PodSettings) -> dict[str, Any]:
    """The init container that downloads the input. The component starts when it has ended."""
    container = _agent(names.STAGE_IN, exchange.STAGE_IN_COMMAND, image, settings, effective)
    return _of_user(container, effective, first_user(effective))


def stage_out(effective: EffectiveRun, image: str, settings: PodSettings) -> dict[str, Any]:
    """The native sidecar that uploads the output. It starts first, to handle SIGTERM before the component can end."""
    container = _agent(names.STAGE_OUT, exchange.STAGE_OUT_COMMAND, image, settings, effective)
    container |= {
        "restartPolicy": "Always",
        # The agent does not need these values. The operator reads them from the pod, where they can't be edited.
        "env": [
            {"name": names.TIMEOUT_VARIABLE, "value": str(effective.timeout_seconds)},
            *(
                [{"name": names.GROUP_VARIABLE, "value": effective.concurrency_group}]
                if effective.concurrency_group
                else []
            ),
            *(
                [{"name": names.STEPS_VARIABLE, "value": _literal(steps_text(steps_of(effective)))}]
                if effective.processors
                else []
            ),
            *container.get("env", ()),
        ],
    }
    programs: tuple[EffectiveRun | EffectiveProcessor, ...] = (effective, *effective.processors)
    if any(_EPHEMERAL in program.limits for program in programs):
        # The kubelet adds up the containers' limits and counts the data folder against the sum. If this limit did not
        # include the data folder, the limit for the component's own files would evict pods with larger tables.
        room = quantity_value(effective.data_size) + _AGENT_SCRATCH_BYTES
        container["resources"]["limits"][_EPHEMERAL] = str(round(room))
    return _of_user(container, effective, last_user(effective))


def gelf(server: Gelf, image: str, settings: PodSettings, effective: EffectiveRun) -> dict[str, Any]:
    """The native sidecar with the GELF server.

    It starts last: the component starts when the server listens. It ends before stage-out checks the output. It has
    neither the run's data nor a grant, and only reads what the component sends.
    """
    visibility = contract.GELF_VISIBILITY | (server.visibility or {})
    levels = ",".join(f"{level}={visibility[level]}" for level in contract.GELF_LEVELS)
    command = (*exchange.GELF_COMMAND, "--server", server.server, "--visibility", levels)
    return _agent(names.GELF, command, image, settings, effective) | {
        "restartPolicy": "Always",
        "startupProbe": {
            "exec": {"command": ["test", "-e", exchange.GELF_READY]},
            "periodSeconds": 1,
            "failureThreshold": _GELF_START_SECONDS,
        },
    }


def component(effective: EffectiveRun, settings: PodSettings, secret: str) -> dict[str, Any]:
    """The component's container: the unchanged image with its entrypoint, unless the run or the Component replace it.

    Args:
        effective: the run.
        settings: platform settings for every pod.
        secret: name of the attempt's Secret, which contains the token if one is forwarded.
    """
    return _program(names.COMPONENT, effective, settings, _forwarded(effective, secret))


def steps(effective: EffectiveRun, image: str, settings: PodSettings, secret: str) -> list[dict[str, Any]]:
    """The component and its processors in the order in which they run, with an agent before each but the first.

    Args:
        effective: the run.
        image: image of the agents.
        settings: platform settings for every pod.
        secret: see `component`.
    """
    before, after = (
        [_of_user(_program(item.container, item, settings), effective, item.user_id) for item in side]
        for side in (effective.before, effective.after)
    )
    programs = [*before, component(effective, settings, secret), *after]
    result, user = programs[:1], first_user(effective)
    for program, step in zip(programs[1:], steps_of(effective)[1:], strict=True):
        name = names.agent_before(step.name)
        agent = _agent(name, (*STEP_COMMAND, step.name), image, settings, effective)
        # It has the user of the step before, which left what it moves.
        result += [_of_user(agent, effective, user), program]
        user = step.user_id
    return result


def _program(
    name: str,
    program: EffectiveRun | EffectiveProcessor,
    settings: PodSettings,
    forwarded: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    env = {
        **program.env,
        **dict.fromkeys(KUBERNETES_VARIABLES, ""),
        **{prefix + contract.ENV_STACK_ID: settings.stack_id for prefix in _PREFIXES},
    }
    plain = [{"name": variable, "value": _literal(value)} for variable, value in env.items()]
    container: dict[str, Any] = {
        "name": name,
        "image": program.image,
        "imagePullPolicy": pull_policy(program.image),
        "env": sorted([*plain, *forwarded], key=lambda item: str(item["name"])),
        "resources": {"limits": dict(program.limits), "requests": dict(program.requests)},
        "securityContext": container_security(read_only_root=program.read_only_root),
        "volumeMounts": mounts(name, read_only_root=program.read_only_root),
        # If the program writes no termination message, the end of its log is used.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if program.command is not None:
        container["command"] = [_literal(part) for part in program.command]
    if program.args is not None:
        container["args"] = [_literal(part) for part in program.args]
    return container


def _of_user(container: dict[str, Any], effective: EffectiveRun, user_id: int) -> dict[str, Any]:
    """The container with a user of its own, if that is not the pod's."""
    if user_id == effective.user_id:
        return container
    is_read_only = container["securityContext"]["readOnlyRootFilesystem"]
    return container | {"securityContext": container_security(read_only_root=is_read_only, user_id=user_id)}


def _forwarded(effective: EffectiveRun, secret: str) -> list[dict[str, Any]]:
    """Variables with the token that the Component forwards. The kubelet reads it from the attempt's Secret."""
    forward = effective.forward_token
    if forward is None:
        return []
    ref = {"secretKeyRef": {"name": secret, "key": grants.TOKEN_KEY}}
    return [
        {"name": prefix + name, **value}
        for prefix in _PREFIXES
        for name, value in (
            (contract.ENV_TOKEN, {"valueFrom": ref}),
            (contract.ENV_URL, {"value": _literal(forward.url)}),
        )
    ]


def _agent(
    name: str, command: tuple[str, ...], image: str, settings: PodSettings, effective: EffectiveRun
) -> dict[str, Any]:
    limit = _termination_bytes(effective)
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        **({} if limit == TERMINATION_BYTES else {"env": [{"name": TERMINATION_VARIABLE, "value": str(limit)}]}),
        "resources": {
            "requests": {
                "cpu": settings.agent_cpu_request,
                "memory": settings.agent_memory_request,
                _EPHEMERAL: _AGENT_EPHEMERAL_REQUEST,
            },
            # No CPU limit: it would slow down the start of the interpreter, which is most of an agent's work.
            # No ephemeral-storage limit: the kubelet would count the data folder against it.
            "limits": {"memory": settings.agent_memory_limit},
        },
        "securityContext": container_security(read_only_root=True),
        "volumeMounts": mounts(
            name, read_only_root=not names.is_step(name), in_chain=bool(effective.processors) and name != names.GELF
        ),
        # The termination message is the agent's result, so it must never be a part of its log.
        "terminationMessagePolicy": "File",
    }


def _termination_bytes(effective: EffectiveRun) -> int:
    """How long an agent's result may be, so that the kubelet keeps all of it, also beside containers of others."""
    programs = 1 + len(effective.processors)
    containers = 2 + (effective.gelf is not None) + programs + (programs - 1)
    return min(TERMINATION_BYTES, POD_TERMINATION_BYTES // (containers + _INJECTED))


def _literal(text: str) -> str:
    """Escape a text, because Kubernetes expands `$(NAME)` as a variable and `$$` as one dollar sign."""
    return text.replace("$", "$$") if "$(" in text or "$$" in text else text
