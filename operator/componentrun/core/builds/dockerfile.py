"""The engine `dockerfile`: the script that builds a Dockerfile with BuildKit.

BuildKit runs without root, in a user namespace of its own, and the commands of the Dockerfile run beside it: they can
reach everything that it has. Therefore its container has no login, and no secrets but those that the Component names
for these commands. It writes the image into a folder, and another
container pushes it.

A BuildKit that stays has a pod of its own, and builds for one namespace. The container of the build is its client then:
it sends the folder of the code and the secrets, and receives the image.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Final

from componentrun.core.builds.exchange import (
    CERTIFICATE_FILE,
    CERTIFICATE_MOUNT,
    KEY_FILE,
    SECRETS_MOUNT,
    TRUSTED_FILE,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.core.builds.identity import BuildInputs, Variables

__all__ = [
    "DEFAULT_DOCKERFILE",
    "DOCKERFILE_STEP",
    "NO_BUILDER",
    "buildkit_configuration",
    "client_script",
    "context_name",
    "dockerfile_script",
]

DEFAULT_DOCKERFILE: Final = "Dockerfile"
DOCKERFILE_STEP: Final = "componentrun: building"
"""Beginning of the line that the script prints before BuildKit starts."""
_DEFAULT_REGISTRY: Final = ("index.docker.io/", "docker.io/", "library/")
"""What names of images begin with if nothing else is written, in this order."""
_DEFAULT_TAG: Final = ":latest"
_START_TRIES: Final = 300
"""Times that the script looks, each a tenth of a second after the other, whether BuildKit has started."""
NO_BUILDER: Final = 75
"""Exit code of the script if the BuildKit that stays does not respond."""
_CLIENT_SECONDS: Final = 60
"""How long the script waits for it: it may be starting again."""
_ANSWER_SECONDS: Final = 10
"""Timeout of one request."""

_SCRIPT: Final = """\
set -eu
umask 022
export USER=user HOME={home} TMPDIR={home} XDG_RUNTIME_DIR={home} BUILDKIT_HOST=unix://{home}/buildkitd.sock
export SSL_CERT_DIR=/etc/ssl/certs:{control}
echo {title}
cat > "$HOME/buildkitd.toml" <<'END-OF-CONFIGURATION'
{configuration}END-OF-CONFIGURATION
rootlesskit buildkitd --config "$HOME/buildkitd.toml" --root "$HOME/buildkit" --addr "$BUILDKIT_HOST" \\
  --oci-worker-no-process-sandbox > "$HOME/buildkitd.log" 2>&1 &
daemon=$!
tries=0
until buildctl debug workers > /dev/null 2>&1; do
  tries=$((tries + 1))
  if [ "$tries" -gt {tries} ] || ! kill -0 "$daemon" 2> /dev/null; then
    tail -n 20 "$HOME/buildkitd.log" >&2
    echo 'BuildKit did not start' >&2
    exit 70
  fi
  sleep 0.1
done
{build}
"""
_CLIENT_SCRIPT: Final = """\
set -eu
umask 022
export HOME={home} TMPDIR={home}
echo {title}
deadline=$(($(date +%s) + {seconds}))
until {ask} > "$HOME/builder.log" 2>&1; do
  if [ "$(date +%s)" -ge "$deadline" ]; then
    tail -n 5 "$HOME/builder.log" >&2
    echo {problem} >&2
    exit {exit_code}
  fi
  sleep 0.5
done
{build}
"""


def dockerfile_script(
    inputs: BuildInputs, home: str, image: str, control: str, labels: Variables, plain_http: Sequence[str] = ()
) -> str:
    """The script, for a POSIX shell in the image of BuildKit.

    Args:
        inputs: everything that goes into the build.
        home: a folder for the state of BuildKit. It has to exist.
        image: a folder for the image, as an OCI image layout. It has to exist.
        control: a folder that may have a file with more certificate authorities.
        labels: labels of the image.
        plain_http: registries that are reached over HTTP without TLS.
    """
    return _SCRIPT.format(
        home=shlex.quote(home),
        control=shlex.quote(control),
        title=_title(inputs),
        configuration=buildkit_configuration(plain_http),
        tries=_START_TRIES,
        build=shlex.join(["buildctl", *_build_words(inputs, image, labels)]),
    )


def client_script(inputs: BuildInputs, home: str, image: str, address: str, labels: Variables) -> str:
    """The script that has a BuildKit that stays build the Dockerfile, for a POSIX shell in the image of BuildKit.

    Args:
        inputs: everything that goes into the build.
        home: a folder for temporary files. It has to exist.
        image: a folder for the image, as an OCI image layout. It has to exist.
        address: host and port of BuildKit.
        labels: labels of the image.
    """
    client = [
        *("buildctl", f"--addr=tcp://{address}"),
        f"--tlscacert={CERTIFICATE_MOUNT}/{TRUSTED_FILE}",
        f"--tlscert={CERTIFICATE_MOUNT}/{CERTIFICATE_FILE}",
        f"--tlskey={CERTIFICATE_MOUNT}/{KEY_FILE}",
    ]
    return _CLIENT_SCRIPT.format(
        home=shlex.quote(home),
        title=_title(inputs),
        seconds=_CLIENT_SECONDS,
        ask=shlex.join(["timeout", str(_ANSWER_SECONDS), *client, "debug", "workers"]),
        problem=shlex.quote(f"BuildKit at {address} has not responded for {_CLIENT_SECONDS} s"),
        exit_code=NO_BUILDER,
        build=shlex.join([*client, *_build_words(inputs, image, labels)]),
    )


def _title(inputs: BuildInputs) -> str:
    return shlex.quote(f"{DOCKERFILE_STEP} {inputs.dockerfile}")


def _build_words(inputs: BuildInputs, image: str, labels: Variables) -> list[str]:
    """Arguments of `buildctl` that build the image."""
    options = [
        f"filename={inputs.dockerfile}",
        f"platform={inputs.platform}",
        # What a `# syntax` line names would be pulled from the internet and run instead of BuildKit's own frontend.
        "cmdline=dockerfile.v0",
        *([f"target={inputs.stage}"] if inputs.stage else ()),
        *(f"build-arg:{name}={value}" for name, value in sorted(inputs.arguments)),
        *(f"context:{context_name(name)}=docker-image://{base}" for name, base in sorted(inputs.bases)),
        *(f"label:{name}={value}" for name, value in sorted(labels)),
    ]
    return [
        *("build", "--progress=plain", "--frontend=dockerfile.v0"),
        *(f"--local={name}={inputs.folder}" for name in ("context", "dockerfile")),
        *(word for option in options for word in ("--opt", option)),
        *(f"--secret=id={name},src={SECRETS_MOUNT}/{name}" for name in sorted(inputs.secrets)),
        f"--output=type=oci,tar=false,dest={image}",
    ]


def context_name(image: str) -> str:
    """The name by which BuildKit looks for the replacement of an image: the shortest one, without the default tag.

    Args:
        image: name of an image or of a stage, as `bases` has it.
    """
    name = image
    for prefix in _DEFAULT_REGISTRY:
        name = name.removeprefix(prefix)
    return name.removesuffix(_DEFAULT_TAG)


def buildkit_configuration(plain_http: Sequence[str]) -> str:
    """`buildkitd.toml`: registries without TLS, and no frontends that are images."""
    lines = ['[frontend."gateway.v0"]', "  enabled = false"]
    for host in sorted(plain_http):
        # A string of JSON is one of TOML.
        lines += [f"[registry.{json.dumps(host)}]", "  http = true"]
    return "\n".join(lines) + "\n"
