"""`ComponentBuild`: one build of an image. The operator creates it when a run needs an image that is not there."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from componentrun.api.build.source import (
    BuildArguments,
    BuildBases,
    BuildCommand,
    BuildEngine,
    BuildSecrets,
    BuildStage,
    DockerfilePath,
)
from componentrun.api.common import ApiModel, Condition, LocalName, ObjectMeta, StatusModel
from componentrun.api.run.podtemplate import LocalObjectReference

__all__ = [
    "BuildDependencies",
    "BuildPhase",
    "BuildPod",
    "BuildStep",
    "BuildStepName",
    "ComponentBuild",
    "ComponentBuildSpec",
    "ComponentBuildStatus",
    "GitCommit",
    "PushedLayers",
]

BuildPhase = Literal["Pending", "Fetching", "Building", "Pushing", "Succeeded", "Failed", "Cancelled"]
BuildStepName = Literal["fetch", "commands", "push"]


class GitCommit(ApiModel):
    """A commit of a git repository."""

    url: Annotated[str, Field(min_length=1, max_length=1024)]
    """URL of the repository."""
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
    """Hash of the commit."""
    ref: Annotated[str, Field(max_length=1024)] | None = None
    """Branch or tag that pointed to the commit, for people."""
    secret_ref: LocalObjectReference | None = None
    """Secret with the login."""
    context_dir: Annotated[str, Field(max_length=512)] | None = None
    """Folder of the repository that is built."""


class ComponentBuildSpec(ApiModel):
    """Everything that goes into the build. It can't be changed, except `cancel`."""

    component: LocalName
    """Name of the Component."""
    engine: BuildEngine = "layer"
    """`layer`: commands run in the parent image, and the folder of the code becomes layers on top of it. `dockerfile`:
    BuildKit builds a Dockerfile of the repository."""
    git: GitCommit
    """The commit that is built."""
    parent: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Parent image with its digest. Not set with the engine `dockerfile`."""
    dockerfile: DockerfilePath | None = None
    """Path of the Dockerfile in the folder that is built."""
    stage: BuildStage | None = None
    """Stage of the Dockerfile that is built. Not set: the last one."""
    bases: BuildBases | None = None
    """Images, with their digests, that replace those that the Dockerfile names."""
    secrets: BuildSecrets | None = None
    """Values that steps of the Dockerfile can mount, by id."""
    platform: Annotated[str, Field(pattern=r"^[a-z0-9]+/[a-z0-9]+$", max_length=64)]
    """Platform of the image, e.g. `linux/amd64`."""
    folder: Annotated[str, Field(pattern=r"^/[^\s]*$", max_length=512)]
    """Absolute path of the code in the image."""
    commands: Annotated[tuple[BuildCommand, ...], Field(max_length=64)] = ()
    """Lines for the shell. Empty: those for the language of the repository."""
    arguments: BuildArguments | None = None
    """Environment variables of the commands, or build arguments of the Dockerfile."""
    entrypoint: Annotated[tuple[Annotated[str, Field(max_length=4096)], ...], Field(max_length=64)] = ()
    """Entrypoint of the image. Empty: that of the language of the repository."""
    tools: Annotated[dict[str, Annotated[str, Field(max_length=253)]], Field(max_length=16)] | None = None
    """Versions of the programs that make the image."""
    not_before: datetime | None = None
    """The image is built after this time, although there may be one of the same input: time of `componentrun build
    start --fresh`, or beginning of the present period of `maxAge`. Not set if neither is used."""
    target: Annotated[str, Field(min_length=1, max_length=512)]
    """Repository that the image is pushed to. The image has the name of this object as its tag."""
    timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = 900
    """Timeout of the build in seconds."""
    cancel: bool = False
    """Whether to stop the build."""


class BuildPod(StatusModel):
    """The pod of a build."""

    namespace: str
    """Namespace of the pod, which is not that of the build."""
    name: str
    """Name of the pod."""
    uid: str | None = None
    """Uid of the pod."""


class BuildStep(StatusModel):
    """One step of a build: a container of its pod."""

    name: BuildStepName
    """`fetch`: fetches the repository. `commands`: runs the commands in the parent image, or
    builds the Dockerfile. `push`: pushes the image."""
    start_time: datetime | None = None
    """When it began."""
    completion_time: datetime | None = None
    """When it ended."""
    exit_code: int | None = None
    """Its exit code."""


class PushedLayers(StatusModel):
    """What pushing the image has sent."""

    sent_bytes: int = 0
    """Bytes that were sent to the registry."""
    mounted_layers: int = 0
    """Layers that the registry took from the parent's repository."""
    known_layers: int = 0
    """Layers that the registry had."""
    copied_layers: int = 0
    """Layers of the parent that were copied from another registry."""


class BuildDependencies(StatusModel):
    """The layer of the dependencies, which later builds of the Component can use again."""

    state: Literal["Installed", "Reused"]
    """`Installed`: the build has installed them. `Reused`: the layer is that of an earlier build."""
    key: str
    """Hash of everything that decides what the layer contains."""
    digest: str
    """Digest of the layer in the repository of the image."""
    size: int
    """Size of the layer in bytes."""
    diff_id: str
    """Digest of the layer before its compression."""


class ComponentBuildStatus(StatusModel):
    """Observed state of the build."""

    phase: BuildPhase | None = None
    """Phase of the build, for people. Scripts should read the condition `Succeeded`."""
    reason: str | None = None
    """Reason of the condition `Succeeded`."""
    message: str | None = None
    """Message of the condition `Succeeded`: what happened."""
    advice: str | None = None
    """What to do about it. Not set if there is nothing to do."""
    observed_generation: int | None = None
    """The `metadata.generation` that this status describes."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = ()
    """`Succeeded`: the image is there."""
    digest: str | None = None
    """Digest of the image."""
    start_time: datetime | None = None
    """When the pod was created."""
    completion_time: datetime | None = None
    """When the build ended."""
    pod: BuildPod | None = None
    """Pod of the build. It is deleted after its end."""
    attempts: int = 0
    """Pods that were created for the build. A pod that is lost with its node, evicted or deleted is replaced."""
    steps: tuple[BuildStep, ...] = ()
    """Steps that have begun, in order."""
    pushed: PushedLayers | None = None
    """What pushing the image has sent."""
    dependencies: BuildDependencies | None = None
    """The layer of the dependencies. Not set if there is none, or if it may depend on the code."""
    last_words: str | None = None
    """The end of what the commands printed, if they failed: at most 4,000 characters."""


class ComponentBuild(ApiModel):
    """One build of an image from a commit of a git repository.

    Its name is a hash of its input, so runs that need the same image share it.
    """

    KIND: ClassVar = "ComponentBuild"
    PLURAL: ClassVar = "componentbuilds"

    metadata: ObjectMeta
    spec: ComponentBuildSpec
    status: ComponentBuildStatus = Field(default_factory=ComponentBuildStatus)
