"""What a channel says about its build."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from componentrun.api.common import ApiModel, Duration, LongDuration, SecretKeyRef
from componentrun.api.run.podtemplate import LocalObjectReference

__all__ = [
    "MOST_BUILD_MINUTES",
    "Build",
    "BuildArguments",
    "BuildBases",
    "BuildCommand",
    "BuildEngine",
    "BuildSecrets",
    "BuildSource",
    "BuildStage",
    "DockerfilePath",
    "GitSource",
]

MOST_BUILD_MINUTES: Final = 60

BuildCommand = Annotated[str, Field(min_length=1, max_length=4096)]
BuildArguments = Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=32)]
BuildBases = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=512)], Annotated[str, Field(min_length=1, max_length=1024)]],
    Field(max_length=16),
]
BuildEngine = Literal["layer", "dockerfile"]
DockerfilePath = Annotated[str, Field(min_length=1, max_length=512)]
BuildSecrets = Annotated[
    dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=128)], SecretKeyRef],
    Field(max_length=16),
]
BuildStage = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=128)]


class GitSource(ApiModel):
    """A git repository."""

    url: Annotated[str, Field(min_length=1, max_length=1024)]
    """URL, e.g. `https://git.example.com/team/app.git`, `ssh://git@git.example.com/team/app.git` or
    `git@git.example.com:team/app.git`, without a password."""
    ref: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """Branch, tag or whole hash of a commit. It is looked up when the channel is resolved: for each run with `follow:
    EachRun`. Defaults to the default branch."""
    secret_ref: LocalObjectReference | None = None
    """Secret in the namespace of the Component. For https: `username` and `password`. For SSH: `ssh-privatekey` and
    `known_hosts`. Only the step that fetches the repository gets it. Defaults to none."""
    context_dir: Annotated[str, Field(max_length=512)] | None = None
    """Folder of the repository that is built, e.g. `components/orders`. Defaults to the whole repository."""


class BuildSource(ApiModel):
    """Where the code comes from."""

    git: GitSource
    """A git repository."""


class Build(ApiModel):
    """How the image of a channel is built. `image` with the `tag` of the Component is the parent of layers."""

    source: BuildSource
    """Where the code comes from."""
    engine: BuildEngine = "layer"
    """`layer`: commands run in the parent image, and the folder of the code becomes layers on top of it. `dockerfile`:
    BuildKit builds the repository's own Dockerfile, if the platform has enabled it (`builds.dockerfile.enabled` of the
    chart). `image` of the Component has no effect then."""
    dockerfile: DockerfilePath | None = None
    """With the engine `dockerfile`: path of the Dockerfile in the folder that is built. Defaults to `Dockerfile`."""
    target: BuildStage | None = None
    """With the engine `dockerfile`: stage that is built. Defaults to the last one."""
    bases: BuildBases | None = None
    """With the engine `dockerfile`: images that replace those that the Dockerfile names, e.g. `python:3.12-slim:
    mirror.example.com/python:3.12-slim`. Their tags are looked up for each run, so a tag that moves starts a new build.
    Images that are not replaced are pulled without a login, and only when something else has changed."""
    secrets: BuildSecrets | None = None
    """With the engine `dockerfile`: values that its steps can mount, by the id that they use: `RUN
    --mount=type=secret,id=...`. They are from Secrets in the namespace of the Component, and are neither in the image
    nor part of the build's name."""
    commands: Annotated[tuple[BuildCommand, ...], Field(max_length=64)] = ()
    """Lines for the shell of the parent image. They run as user 1000 in the folder of the code, each in a shell of its
    own, and can change this folder only. Defaults to those for the language of the repository: Python (`uv.lock` or
    `requirements.txt`), Node (`package.json`) or R (`renv.lock`)."""
    arguments: BuildArguments | None = None
    """Environment variables of the commands, which are not in the image; with the engine `dockerfile`, build arguments
    (`ARG`), which its history may show. Do not put secrets into them."""
    entrypoint: Annotated[tuple[Annotated[str, Field(max_length=4096)], ...], Field(max_length=64)] = ()
    """Entrypoint of the image. Defaults to the program of the language, such as `main.py` with `python3`."""
    max_age: LongDuration | None = None
    """Maximum age of the image, e.g. `30d`; minimum `1h`. When the channel is resolved, an image that is older is built
    again, also from the same commit. Requires `follow: EachRun` or `Interval`. Defaults to no maximum."""
    timeout: Duration | None = None
    """Timeout of the build. Defaults to `15m`; maximum `1h`."""
