"""Runs of Components whose Dockerfiles a BuildKit that stays builds, as the chart installs it."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from componentrun.api import names
from componentrun.core.pod.security import container_security, pod_security
from dev.cluster import paths, waiting
from dev.cluster.build import builds
from dev.images.catalogue import ROOT
from dev.install import chart
from tests.integration.builder import buildkit
from tests.integration.controller.buildlab import OUTPUT, Lab, laboratory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster.connection import Connection

PROFILE: Final = "componentrun/buildkit.json"
BASE: Final = "python:3.12-slim"
DOCKERFILE: Final = f"""
FROM {BASE}
USER root
RUN python3 -c "import time; time.sleep(8)" && mkdir /opt/slow
COPY main.py /main.py
USER 1000:1000
CMD ["python3", "/main.py"]
"""
CERTIFICATE: Final = "/run/client"


def objects_of_builder(tenant: str, namespace: str, image: str, registry: str) -> list[dict[str, Any]]:
    """What the chart makes for a builder, without the rest of the chart."""
    values = {
        "image.repository": "registry.example.com/componentrun",
        "builds.enabled": "true",
        "builds.namespace": namespace,
        "builds.repository": f"{registry}/builds",
        "builds.dockerfile.enabled": "true",
        "builds.dockerfile.image": image,
        "builds.dockerfile.seccompProfile": PROFILE,
        "builds.dockerfile.builders[0].namespace": tenant,
        "operator.registries.plainHttp": f"{{{registry}}}",
    }
    flags = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    only = ["--show-only", "templates/builders.yaml"]
    helm = shutil.which("helm") or str(builds.build(["helm"]) / "helm")
    command = [helm, "template", "lab", str(chart.CHART), *only, *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [item for item in yaml.safe_load_all(done.stdout) if item]


@dataclass(frozen=True)
class Builder:
    """A builder, and the tenant whose builds it does."""

    lab: Lab
    name: str
    image: str

    @property
    def address(self) -> str:
        return f"tcp://{self.name}.{self.lab.builds_namespace}.svc:1234"

    def ask(self, tenant: str, *, has_certificate: bool) -> tuple[str, str]:
        """Phase and log of a pod with the labels of a tenant's builds that connects to the builder."""
        name, namespace = f"client-{uuid.uuid4().hex[:8]}", self.lab.builds_namespace
        files = {"tlscacert": "ca.crt"} | ({"tlscert": "tls.crt", "tlskey": "tls.key"} if has_certificate else {})
        words = [f"--{option}={CERTIFICATE}/{file}" for option, file in files.items()]
        container = {
            "name": "client",
            "image": self.image,
            "command": ["timeout", "15", "buildctl", f"--addr={self.address}", *words, "debug", "workers"],
            "securityContext": container_security(read_only_root=True),
            "volumeMounts": [{"name": "certificate", "mountPath": CERTIFICATE}],
        }
        secret = {"secretName": f"{self.name}-client", "defaultMode": 0o440}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.BUILD_NAMESPACE_LABEL: tenant},
            },
            "spec": {
                "restartPolicy": "Never",
                "securityContext": pod_security(1000),
                "containers": [container],
                "volumes": [{"name": "certificate", "secret": secret}],
            },
        }
        kubectl = self.lab.place.tenant.kubectl
        kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(pod))

        def phase() -> str:
            return kubectl("get", "pod", name, "-n", namespace, "-o", "jsonpath={.status.phase}").stdout

        waiting.until(lambda: None if phase() in {"Succeeded", "Failed"} else phase(), what=f"pod {name}", timeout=90)
        return phase(), kubectl("logs", name, "-n", namespace).stdout


@pytest.fixture(scope="module")
def builder(
    connection: Connection,
    images: dict[str, str],
    settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Builder]:
    """A builder from the chart. The operator starts again with its address when the namespaces have their names."""
    if not buildkit.is_built():
        pytest.skip("BuildKit is not built: `python -m dev.cluster build buildkit`")
    profile = paths.home() / "cluster/kubelet/seccomp" / PROFILE
    if connection.own:
        profile.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "helm/componentrun/files/seccomp/buildkit.json", profile)
    image = buildkit.image(connection)
    variables = {
        "COMPONENTRUN_BUILDS_DOCKERFILE_IMAGE": image,
        "COMPONENTRUN_BUILDS_DOCKERFILE_SECCOMP": PROFILE,
    }
    with laboratory(connection, images, settings, tmp_path_factory, level="baseline", **variables) as lab:
        tenant, namespace = lab.place.tenant, lab.builds_namespace
        documents = objects_of_builder(tenant.namespace, namespace, image, images["test-components"].partition("/")[0])
        for document in documents:
            tenant.kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(document))
        (name,) = (item["metadata"]["name"] for item in documents if item["kind"] == "Deployment")
        lab.place.operator.end()
        address = f"{name}.{namespace}.svc:1234"
        lab.place.operator.environment["COMPONENTRUN_BUILDS_DOCKERFILE_BUILDERS"] = (
            f"{tenant.namespace}={name}-client@{address}"
        )
        lab.place.operator.start()
        lab.place.operator.wait_ready()
        tenant.kubectl("rollout", "status", f"deployment/{name}", "-n", namespace, "--timeout=120s")
        yield Builder(lab, name, image)


def seconds_of_commands(build: dict[str, Any]) -> float:
    (step,) = (item for item in build["status"]["steps"] if item["name"] == "commands")
    begin, end = (datetime.fromisoformat(step[key]) for key in ("startTime", "completionTime"))
    return (end - begin).total_seconds()


def test_a_step_that_has_not_changed_is_not_run_again(builder: Builder) -> None:
    lab = builder.lab
    lab.commit("first", Dockerfile=DOCKERFILE.encode())
    name = lab.add_component(engine="dockerfile", bases={BASE: lab.place.image})
    first = lab.ran(name, output=OUTPUT)
    lab.commit("second", Dockerfile=DOCKERFILE.encode())
    second = lab.ran(name, output=OUTPUT)
    assert first["image"] != second["image"]
    assert (lab.place.tenant.table("out.c-main.built") or "").splitlines()[1:] == ["1,second"]
    cold, warm = sorted(map(seconds_of_commands, lab.builds(name)), reverse=True)
    assert warm < cold / 2, (cold, warm)

    # The log of a build that fails is in its status.
    lab.commit("second", Dockerfile=f"{DOCKERFILE}RUN exit 3\n".encode())
    lab.place.failed(lab.start(name), "BuildFailed", "exit code: 3")
    (words,) = (item["status"]["lastWords"] for item in lab.builds(name) if item["status"]["phase"] == "Failed")
    assert "CACHED" in words


def test_only_builds_of_its_namespace_with_a_certificate_connect(builder: Builder) -> None:
    own = builder.lab.place.tenant.namespace
    phase, log = builder.ask(own, has_certificate=True)
    assert phase == "Succeeded", log
    phase, log = builder.ask(own, has_certificate=False)
    assert phase == "Failed"
    assert "certificate" in log
    phase, log = builder.ask("another", has_certificate=True)
    assert phase == "Failed"
    assert "certificate" not in log, "it does not get as far as TLS"
