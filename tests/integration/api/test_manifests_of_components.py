"""The API server rejects Components that make no sense, and the message names the field. Nothing is created."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.channels import MOST_CHANNELS
from componentrun.api.processors import MOST_PROCESSORS
from dev.cluster import connection as cluster_connection
from tests.imagereferences import DIGEST

if TYPE_CHECKING:
    from dev.cluster.connection import Connection

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def connection() -> Connection:
    return cluster_connection.load()


def kubectl(connection: Connection, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(connection.bin_dir / "kubectl"), f"--kubeconfig={connection.kubeconfig}", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)


def refusal(connection: Connection, **spec: Any) -> str:
    """What the API server says about a Component and a ClusterComponent; empty if it takes both."""
    manifests = [
        {
            "apiVersion": "componentrun.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": "refused-by-the-server"},
            "spec": {"image": "registry.example.com/app", **spec},
        }
        for kind in ("Component", "ClusterComponent")
    ]
    create = ("create", "--dry-run=server", "--namespace=default", "--filename=-")
    answers = [kubectl(connection, *create, stdin=json.dumps(manifest)) for manifest in manifests]
    assert len({done.returncode for done in answers}) == 1, "both kinds have the same rules"
    return answers[0].stderr if answers[0].returncode else ""


def channels(count: int) -> list[dict[str, str]]:
    return [{"name": f"c{i}", "tag": "1"} for i in range(count)]


def steps(count: int) -> list[dict[str, str]]:
    return [{"component": "unzip"}] * count


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"channels": channels(300)}, ("spec.channels", f"must have at most {MOST_CHANNELS} items")),
        ({"channels": [{"name": "release", "tag": DIGEST}]}, ("spec.channels[0].tag", "should match")),
        ({"channels": [{"name": "release", "digest": "1.0"}]}, ("spec.channels[0].digest", "should match")),
        ({"channels": [*channels(1), *channels(1)]}, ("spec.channels[1]", "Duplicate value")),
        ({"tag": DIGEST}, ("spec.tag", "should match")),
        ({"image": ""}, ("spec.image", "at least 1 chars long")),
        ({"image": "h.io/" + "a" * 600}, ("spec.image", "may not be more than 512 bytes")),
        ({"processors": {"before": steps(6), "after": steps(5)}}, ("spec.processors", f"{MOST_PROCESSORS}")),
        ({"type": "processors"}, ("spec.type", "Unsupported value")),
    ],
)
def test_refused_with_the_field(connection: Connection, spec: dict[str, Any], words: tuple[str, ...]) -> None:
    message = refusal(connection, **spec)
    assert not [word for word in words if word not in message], message


def test_as_many_as_allowed(connection: Connection) -> None:
    processors = {"before": steps(5), "after": steps(MOST_PROCESSORS - 5)}
    assert refusal(connection, channels=channels(MOST_CHANNELS), processors=processors) == ""
