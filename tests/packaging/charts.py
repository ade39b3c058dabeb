"""The chart, rendered by the real helm, and what its tests ask of the documents."""

from __future__ import annotations

import os
import ssl
import subprocess
from typing import Any

import yaml

from dev.install import chart

__all__ = ["IMAGE", "Chart", "containers", "environment", "handshake", "of_kind", "rights"]

IMAGE = "image.repository=registry.example.com/componentrun"


class Chart:
    """Renders the chart."""

    def __init__(self, helm: str) -> None:
        self.helm = helm

    def run(self, verb: str, *values: str) -> subprocess.CompletedProcess[str]:
        name = ["release"] if verb == "template" else []
        flags = [word for value in values for word in ("--set", value)]
        command = [self.helm, verb, *name, str(chart.CHART), "--namespace", "somewhere", *flags]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=os.environ | {"HELM_PLUGINS": os.devnull}
        )

    def render(self, *values: str) -> list[dict[str, Any]]:
        done = self.run("template", IMAGE, *values)
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    def refusal(self, *values: str) -> str:
        done = self.run("template", *values)
        assert done.returncode != 0, "helm took it"
        return done.stderr


def of_kind(documents: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [document for document in documents if document["kind"] == kind]


def containers(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    pods = [deployment["spec"]["template"]["spec"] for deployment in of_kind(documents, "Deployment")]
    return [container for pod in pods for container in pod["containers"]]


def environment(documents: list[dict[str, Any]], part: str) -> dict[str, str]:
    found = next(container for container in containers(documents) if container["name"] == part)
    return {variable["name"]: variable["value"] for variable in found["env"] if "value" in variable}


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str | None:
    """The protocol that both agree on."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    while True:
        done = True
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                done = False
        if done:
            return ours.version()


def rights(rules: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}
