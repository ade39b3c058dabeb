"""The pod of a build, and its Secrets. Pure.

Three containers run one after another: `fetch` has the git login, `push` the registry's, and `commands`, which run
other people's code in the parent image, have neither. They share the folder of the code. The script and the recipe are
in a folder that only `fetch` can write. All of it meets the restricted pod security standard (decision 0113), except
BuildKit, which takes the place of the commands for a Dockerfile (decision 0118). If the namespace has a BuildKit that
stays, a client of it takes this place, and meets the standard, too (decision 0112).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from componentrun.api import names
from componentrun.api.common import quantity_value
from componentrun.core.builds import exchange
from componentrun.core.builds.dependencies.layer import dump_layers
from componentrun.core.builds.identity import BuildInputs
from componentrun.core.builds.login import LOGIN_KEYS
from componentrun.core.builds.settings import FOLDER, UNCONFINED, USER
from componentrun.core.builds.source import parse_git_url
from componentrun.core.images.reference import Repository, parse_reference, parse_repository
from componentrun.core.pod.containers import KUBERNETES_VARIABLES
from componentrun.core.pod.metadata import label_value
from componentrun.core.pod.security import container_security, pod_security
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from componentrun.api.build.componentbuild import ComponentBuild, ComponentBuildSpec
    from componentrun.core.builds.dependencies.layer import DependencyLayer
    from componentrun.core.builds.settings import BuildSettings, RemoteBuilder

__all__ = [
    "build_inputs",
    "build_labels",
    "build_pod",
    "build_secrets",
    "check_build",
    "check_parent",
    "parents_of",
    "pod_name",
    "remote_builder_of",
    "target_of",
]

_UID_CHARACTERS: Final = 8
_GRACE_SECONDS: Final = 2
"""The shell of the commands ignores SIGTERM, and fetch and push leave nothing behind that has to be removed."""
_SECRET_MODE: Final = 0o440
_CONTROL_SIZE: Final = "16Mi"
_BUILDER: Final = "builder"
_CODE: Final = "code"
_CONTROL: Final = "control"
_HOME: Final = "home"
_IMAGE: Final = "image"
_SECRETS: Final = "secrets"
_SOURCE: Final = "source"
_REQUESTS: Final = {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "64Mi"}
"""What each container requests at least; less if its limit is lower. Without them, the limits would be requested."""
_DISKS: Final = 5
"""Folders of the size of the disk limit: code, source, home, and /tmp of fetch and push."""
_DOCKER_CONFIG: Final = "kubernetes.io/dockerconfigjson"
_NO_LOGINS: Final = b'{"auths":{}}'


def build_inputs(spec: ComponentBuildSpec) -> BuildInputs:
    """Everything that decides what a build makes, as its name is computed from it."""
    return BuildInputs(
        engine=spec.engine,
        url=spec.git.url,
        commit=spec.git.commit,
        context_dir=spec.git.context_dir or "",
        parent=spec.parent or "",
        dockerfile=spec.dockerfile or "",
        stage=spec.stage or "",
        bases=tuple(sorted((spec.bases or {}).items())),
        secrets=tuple(sorted(spec.secrets or ())),
        platform=spec.platform,
        folder=spec.folder,
        commands=spec.commands,
        arguments=tuple(sorted((spec.arguments or {}).items())),
        entrypoint=spec.entrypoint,
        tools=tuple(sorted((spec.tools or {}).items())),
        target=spec.target,
        not_before=spec.not_before.strftime(names.FRESH_FORMAT) if spec.not_before is not None else "",
    )


def check_build(build: ComponentBuild, settings: BuildSettings) -> BuildInputs:
    """The inputs of a build that may run. Anybody who may create ComponentBuilds can write what the operator would not.

    Raises:
        UserError: (InvalidSpec) the name is not the hash of the inputs, so the image would get the tag of another
            build; or the target, the folder, the host or the parent is not one that the operator would choose.
        BuildError: the URL is not the address of a repository.
    """
    inputs, metadata, spec = build_inputs(build.spec), build.metadata, build.spec
    target = target_of(metadata.namespace, spec.component, settings).name
    url = parse_git_url(spec.git.url, "spec.git.url")
    problems = (
        (inputs.name != metadata.name, f"its name is not the hash of its input, which is `{inputs.name}`"),
        (spec.target != target, f"spec.target is `{spec.target}`; expected `{target}`"),
        (spec.folder != FOLDER, f"spec.folder is `{spec.folder}`; expected `{FOLDER}`"),
        (
            spec.engine == "dockerfile" and not settings.builds_dockerfiles,
            "spec.engine is `dockerfile`, which the platform has not enabled",
        ),
        (
            not _has_parts_of_engine(spec),
            f"spec.engine is `{spec.engine}`; expected `layer` with `parent`, or `dockerfile` with `dockerfile`",
        ),
        *(
            ("@" not in image, f"{field} is `{image}`; expected an image with a digest")
            for field, image in parents_of(spec)
        ),
        (url.text != spec.git.url, f"spec.git.url is not in its normal form, `{url.text}`"),
        (
            bool(settings.git_hosts) and url.authority not in settings.git_hosts,
            f"spec.git.url: the platform does not allow repositories on `{url.authority}`",
        ),
    )
    for field, image in parents_of(spec):
        check_parent(parse_reference(image, field), metadata.namespace, settings)
    for is_wrong, problem in problems:
        if is_wrong:
            raise UserError(
                f"ComponentBuild `{metadata.name}`: {problem}",
                Reason.INVALID_SPEC,
                advice="Delete it. The operator creates ComponentBuilds when runs need them.",
            )
    return inputs


def parents_of(spec: ComponentBuildSpec) -> tuple[tuple[str, str], ...]:
    """The images that a build starts from, as far as it names them, each with its field for messages."""
    parent = () if spec.parent is None else (("spec.parent", spec.parent),)
    return (*parent, *((f"spec.bases[{name}]", image) for name, image in sorted((spec.bases or {}).items())))


def _has_parts_of_engine(spec: ComponentBuildSpec) -> bool:
    if spec.engine == "layer":
        return spec.parent is not None and not (spec.dockerfile or spec.stage or spec.bases or spec.secrets)
    return spec.dockerfile is not None and not (spec.parent or spec.commands or spec.entrypoint)


def target_of(namespace: str, component: str, settings: BuildSettings) -> Repository:
    """The repository that images of a Component are pushed to. No other Component has it.

    Raises:
        UserError: (InvalidSpec) its name is too long for a repository.
    """
    return parse_repository(f"{settings.repository}/{namespace}/{component}", "repository of the images that are built")


def check_parent(parent: Repository, namespace: str, settings: BuildSettings) -> None:
    """Refuse a parent that was built for another namespace.

    The pod of a build has logins of the platform besides those of the tenant.

    Raises:
        UserError: (ImageNotAllowed) it was.
    """
    if f"{parent.name}/".startswith(f"{settings.repository}/") and not f"{parent.name}/".startswith(
        f"{settings.repository}/{namespace}/"
    ):
        raise UserError(
            f"parent image `{parent.name}` is below `{settings.repository}`, which has the images that were built for "
            "other namespaces",
            Reason.IMAGE_NOT_ALLOWED,
            advice="Use the image that it was built from, or one of another repository.",
        )


def pod_name(build: ComponentBuild, attempt: int = 1) -> str:
    """Name of the pod of an attempt: a failed build may be created anew with the same name, and a lost pod may stay.

    Args:
        build: the build.
        attempt: number of the pod, from 1.
    """
    name = f"{build.metadata.name}-{build.metadata.uid[:_UID_CHARACTERS]}"
    return name if attempt == 1 else f"{name}-{attempt}"


def build_labels(build: ComponentBuild) -> dict[str, str]:
    """Labels of the pod of a build and of its Secrets."""
    return {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.BUILD_LABEL: label_value(build.metadata.name),
        names.BUILD_NAMESPACE_LABEL: label_value(build.metadata.namespace),
        names.BUILD_UID_LABEL: label_value(build.metadata.uid),
    }


def build_pod(build: ComponentBuild, settings: BuildSettings, attempt: int = 1) -> dict[str, Any]:
    """The pod of a build. It waits for the Secrets of `build_secrets`, which are created after it.

    Args:
        build: a build that `check_build` accepts.
        settings: of the chart.
        attempt: number of the pod, from 1.
    """
    name, spec = pod_name(build, attempt), build.spec
    system, _, architecture = spec.platform.partition("/")
    pull_secrets = (_pull_secret(name), *settings.builder_pull_secrets)
    remote = remote_builder_of(build, settings)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": settings.namespace,
            "labels": build_labels(build),
            "annotations": {"kubectl.kubernetes.io/default-container": exchange.COMMANDS},
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": spec.timeout_seconds,
            "terminationGracePeriodSeconds": _GRACE_SECONDS,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": pod_security(USER),
            # The commands run on a node for which the image is.
            "nodeSelector": {"kubernetes.io/os": system, "kubernetes.io/arch": architecture},
            "imagePullSecrets": [{"name": secret} for secret in pull_secrets],
            "initContainers": [
                _builder(exchange.FETCH, spec, settings, remote),
                _commands_of_engine(spec, settings, remote),
            ],
            "containers": [_builder(exchange.PUSH, spec, settings)],
            "volumes": _volumes(name, spec, settings, remote),
        },
    }


def remote_builder_of(build: ComponentBuild, settings: BuildSettings) -> RemoteBuilder | None:
    """The BuildKit that stays and does a build; None: the pod of the build does it."""
    return settings.remote_builder(build.metadata.namespace) if build.spec.engine == "dockerfile" else None


def _builder(
    step: str, spec: ComponentBuildSpec, settings: BuildSettings, remote: RemoteBuilder | None = None
) -> dict[str, Any]:
    """A container of ours: before or after the commands."""
    variables = {
        exchange.PLAIN_HTTP_VARIABLE: ",".join(settings.plain_http),
        exchange.CA_BUNDLE_VARIABLE: settings.ca_bundle or "",
        exchange.BUILDER_VARIABLE: remote.address if remote is not None else "",
    }
    # push reads what the commands have left, and need not change it.
    read_only = {"readOnly": True} if step == exchange.PUSH else {}
    # It is the pod's only container, so its limit is the pod's, which all volumes together count against.
    disks = _DISKS if step == exchange.PUSH else 1
    # Of a Dockerfile, the image is pushed; in layers, the folder.
    image = [{"name": _IMAGE, "mountPath": exchange.IMAGE_MOUNT, "readOnly": True}]
    has_image = step == exchange.PUSH and spec.engine == "dockerfile"
    return {
        "name": step,
        "image": settings.builder_image,
        "imagePullPolicy": "IfNotPresent",
        "command": [*exchange.STEP_COMMAND, step],
        "env": [{"name": name, "value": _literal(value)} for name, value in variables.items() if value],
        "resources": _resources(settings, disks),
        "securityContext": container_security(read_only_root=True),
        "volumeMounts": [
            {"name": _CODE, "mountPath": FOLDER, **read_only},
            {"name": _CONTROL, "mountPath": exchange.CONTROL_MOUNT, **read_only},
            {"name": _grant(step), "mountPath": exchange.GRANT_MOUNT, "readOnly": True},
            {"name": _tmp(step), "mountPath": "/tmp"},  # noqa: S108 - a path in the container
            *(image if has_image else ()),
            *(_source(spec) if step == exchange.FETCH else ()),
        ],
        # The termination message is the report, so it must never be a part of the log.
        "terminationMessagePolicy": "File",
    }


def _source(spec: ComponentBuildSpec) -> list[dict[str, Any]]:
    """Mount of the folder with the repository, if a convention builds it."""
    has_convention = spec.engine == "layer" and not spec.commands
    return [{"name": _SOURCE, "mountPath": exchange.SOURCE_MOUNT}] if has_convention else []


def _commands_of_engine(
    spec: ComponentBuildSpec, settings: BuildSettings, remote: RemoteBuilder | None
) -> dict[str, Any]:
    if spec.engine != "dockerfile":
        return _commands(spec, settings)
    if remote is None:
        return _dockerfile_container(spec, settings, _buildkit_security(settings))
    container = _dockerfile_container(spec, settings, container_security(read_only_root=True))
    container["volumeMounts"].append({"name": _BUILDER, "mountPath": exchange.CERTIFICATE_MOUNT, "readOnly": True})
    return container


def _buildkit_security(settings: BuildSettings) -> dict[str, Any]:
    """What BuildKit needs and `restricted` forbids.

    These are system calls for user namespaces and mounts, and file capabilities of the two programs that map users,
    which have no effect without privilege escalation.
    """
    profile = settings.seccomp_profile
    is_unconfined = profile == UNCONFINED
    seccomp = {"type": UNCONFINED} if is_unconfined else {"type": "Localhost", "localhostProfile": profile}
    return {
        "allowPrivilegeEscalation": True,
        "capabilities": {"drop": ["ALL"], "add": ["SETUID", "SETGID"]},
        "seccompProfile": seccomp,
    }


def _dockerfile_container(
    spec: ComponentBuildSpec, settings: BuildSettings, security: dict[str, Any]
) -> dict[str, Any]:
    """The container that builds a Dockerfile: BuildKit or a client of it, without root, and without a login."""
    return {
        "name": exchange.COMMANDS,
        "image": settings.dockerfile_image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", f"{exchange.CONTROL_MOUNT}/{exchange.SCRIPT_FILE}"],
        "workingDir": FOLDER,
        "env": [{"name": name, "value": ""} for name in KUBERNETES_VARIABLES],
        "resources": _resources(settings, 2),
        "securityContext": security,
        "volumeMounts": [
            {"name": _CODE, "mountPath": FOLDER, "readOnly": True},
            {"name": _CONTROL, "mountPath": exchange.CONTROL_MOUNT, "readOnly": True},
            {"name": _HOME, "mountPath": exchange.HOME_MOUNT},
            {"name": _IMAGE, "mountPath": exchange.IMAGE_MOUNT},
            *([{"name": _SECRETS, "mountPath": exchange.SECRETS_MOUNT, "readOnly": True}] if spec.secrets else ()),
        ],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _commands(spec: ComponentBuildSpec, settings: BuildSettings) -> dict[str, Any]:
    """The container with other people's code: the parent image."""
    return {
        "name": exchange.COMMANDS,
        "image": spec.parent,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", f"{exchange.CONTROL_MOUNT}/{exchange.SCRIPT_FILE}"],
        "workingDir": spec.folder,
        "env": [{"name": name, "value": ""} for name in KUBERNETES_VARIABLES],
        "resources": _resources(settings, 1),
        "securityContext": container_security(read_only_root=False),
        "volumeMounts": [
            {"name": _CODE, "mountPath": spec.folder},
            {"name": _CONTROL, "mountPath": exchange.CONTROL_MOUNT, "readOnly": True},
            {"name": _HOME, "mountPath": exchange.HOME_MOUNT},
            *({**mount, "readOnly": True} for mount in _source(spec)),
        ],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _resources(settings: BuildSettings, disks: int) -> dict[str, Any]:
    disk = round(quantity_value(settings.disk_limit) * disks)
    limits = {"cpu": settings.cpu_limit, "memory": settings.memory_limit, "ephemeral-storage": str(disk)}
    requests = {name: min(value, limits[name], key=quantity_value) for name, value in _REQUESTS.items()}
    return {"requests": requests, "limits": limits}


def _volumes(
    pod: str, spec: ComponentBuildSpec, settings: BuildSettings, remote: RemoteBuilder | None
) -> list[dict[str, Any]]:
    sizes = {
        _CODE: settings.disk_limit,
        _HOME: settings.disk_limit,
        _tmp(exchange.FETCH): settings.disk_limit,
        _tmp(exchange.PUSH): settings.disk_limit,
        _CONTROL: _CONTROL_SIZE,
        **({_IMAGE: settings.disk_limit} if spec.engine == "dockerfile" else {}),
        **dict.fromkeys((mount["name"] for mount in _source(spec)), settings.disk_limit),
    }
    return [
        *({"name": name, "emptyDir": {"sizeLimit": size}} for name, size in sizes.items()),
        *(_secret_volume(_grant(step), _secret(pod, step)) for step in (exchange.FETCH, exchange.PUSH)),
        *([_secret_volume(_SECRETS, _secret(pod, _SECRETS))] if spec.secrets else ()),
        *([_secret_volume(_BUILDER, _secret(pod, _BUILDER))] if remote is not None else ()),
    ]


def _secret_volume(name: str, secret: str) -> dict[str, Any]:
    return {"name": name, "secret": {"secretName": secret, "defaultMode": _SECRET_MODE}}


def build_secrets(
    build: ComponentBuild,
    pod: Mapping[str, Any],
    git_login: Mapping[str, bytes] | None,
    registry: bytes | None,
    pulls: bytes | None,
    secrets: Mapping[str, bytes] | None = None,
    layers: Sequence[DependencyLayer] = (),
    certificate: Mapping[str, bytes] | None = None,
) -> list[dict[str, Any]]:
    """The Secrets of a pod, which owns them, in the order in which they are to be created.

    The kubelet starts nothing before it has the Secrets of fetch and push. It does not wait for the one with the logins
    for pulling the parent image, which therefore comes first.

    Args:
        build: the build.
        pod: its pod as the API server returned it.
        git_login: content of the Secret that `spec.git.secretRef` names; None: no login.
        registry: docker configuration with the login that may push; None: no login.
        pulls: docker configuration with the logins that may read the parent image; None: no login.
        secrets: values that steps of a Dockerfile can mount, by id.
        layers: layers of dependencies that the repository of the image may have.
        certificate: files with which the build is a client of a BuildKit that stays; None: it is not.
    """
    name = str(pod["metadata"]["name"])
    inputs = {exchange.INPUTS_FILE: build_inputs(build.spec).canonical()}
    login = {key: value for key, value in (git_login or {}).items() if key in LOGIN_KEYS}
    known = {exchange.LAYERS_FILE: dump_layers(layers)}
    configs = {exchange.PULL_FILE: pulls or _NO_LOGINS, exchange.PUSH_FILE: registry or _NO_LOGINS}
    return [
        _secret_object(build, pod, _pull_secret(name), {".dockerconfigjson": pulls or _NO_LOGINS}, _DOCKER_CONFIG),
        *([_secret_object(build, pod, _secret(name, _SECRETS), secrets)] if secrets else ()),
        *([_secret_object(build, pod, _secret(name, _BUILDER), certificate)] if certificate else ()),
        _secret_object(build, pod, _secret(name, exchange.PUSH), inputs | configs),
        _secret_object(build, pod, _secret(name, exchange.FETCH), inputs | known | login),
    ]


def _secret_object(
    build: ComponentBuild, pod: Mapping[str, Any], name: str, content: Mapping[str, bytes], kind: str = "Opaque"
) -> dict[str, Any]:
    metadata = pod["metadata"]
    owner = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": build_labels(build),
            "ownerReferences": [owner],
        },
        "type": kind,
        "immutable": True,
        "data": {key: base64.b64encode(value).decode() for key, value in content.items()},
    }


def _secret(pod: str, step: str) -> str:
    """Name of the Secret that only one step mounts."""
    return f"{pod}-{step}"


def _pull_secret(pod: str) -> str:
    """Name of the Secret with which the kubelet pulls the parent image. No container mounts it."""
    return f"{pod}-pull"


def _grant(step: str) -> str:
    return f"grant-{step}"


def _tmp(step: str) -> str:
    return f"{names.TMP_VOLUME}-{step}"


def _literal(text: str) -> str:
    """Escape a text, because Kubernetes expands `$(NAME)` as a variable and `$$` as one dollar sign."""
    return text.replace("$", "$$")
