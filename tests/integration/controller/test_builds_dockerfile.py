"""Runs of Components whose images BuildKit builds from a Dockerfile, without root, in a `baseline` namespace."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
from typing import TYPE_CHECKING, Any, Final

import pytest

from dev.cluster import paths, waiting
from dev.images.catalogue import ROOT
from e2e.tenant.repository import Repository
from tests.integration.builder import buildkit
from tests.integration.builder.gitservers import PASSWORD, USER
from tests.integration.controller.buildlab import OUTPUT, Lab, laboratory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster.connection import Connection

PROFILE: Final = "componentrun/buildkit.json"
BASE: Final = "python:3.12-slim"
"""An image that this cluster does not have: another one takes its place."""
TOOLS: Final = "docker.io/team/tools:latest"
"""Another one, by a name that BuildKit shortens."""
TOKEN: Final = "token-of-the-index"
DOCKERFILE: Final = f"""
# syntax=registry.invalid/frontend:1
FROM {BASE} AS first
USER root
ARG GREETING
RUN mkdir -p /opt/app && echo "$GREETING" > /opt/app/greeting
COPY --from={TOOLS} /usr/bin/env /opt/app/env
COPY main.py /opt/app/
RUN --mount=type=secret,id=token test "$(wc -c < /run/secrets/token)" = {len(TOKEN)}
RUN cat /opt/app/greeting && python3 -m py_compile /opt/app/main.py
USER 1000:1000
CMD ["python3", "/opt/app/main.py"]
"""
SEARCH: Final = """
FROM {base}
USER root
RUN echo searching; \\
    for folder in / /proc/[0-9]*/root/; do \\
      if grep -rIsl --exclude-dir=proc --exclude-dir=sys -e '{password}' "$folder"run "$folder"var "$folder"home \\
        "$folder"tmp "$folder"code; then exit 9; fi; \\
      if ls -d "$folder"run/componentrun/grant "$folder"run/secrets 2>/dev/null; then exit 10; fi; \\
    done; \\
    if cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -e '{password}'; then exit 11; fi
COPY main.py /main.py
CMD ["python3", "/main.py"]
"""


@pytest.fixture(scope="module")
def lab(
    connection: Connection,
    images: dict[str, str],
    settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Lab]:
    if not buildkit.is_built():
        pytest.skip("BuildKit is not built: `python -m dev.cluster build buildkit`")
    profile = paths.home() / "cluster/kubelet/seccomp" / PROFILE
    if connection.own:
        profile.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "helm/componentrun/files/seccomp/buildkit.json", profile)
    with laboratory(
        connection,
        images,
        settings,
        tmp_path_factory,
        level="baseline",
        COMPONENTRUN_BUILDS_DOCKERFILE_IMAGE=buildkit.image(connection),
        COMPONENTRUN_BUILDS_DOCKERFILE_SECCOMP=PROFILE,
    ) as started:
        yield started


def component(lab: Lab, **build: Any) -> str:
    return lab.add_component(engine="dockerfile", bases={BASE: lab.place.image, TOOLS: lab.place.image}, **build)


def test_a_dockerfile_is_enough(lab: Lab) -> None:
    lab.commit("docker", Dockerfile=DOCKERFILE.encode())
    lab.place.tenant.secret("index", {"password": TOKEN})
    secrets = {"token": {"name": "index", "key": "password"}}
    name = component(lab, arguments={"GREETING": "good morning, $(HOME)"}, secrets=secrets)
    status = lab.ran(name, output=OUTPUT)
    texts = {**parts_of(status["image"]), "run": json.dumps(status).encode()}
    texts["build"] = json.dumps(lab.builds(name)).encode()
    assert [what for what, text in texts.items() if TOKEN.encode() in text] == []
    assert (lab.place.tenant.table("out.c-main.built") or "").splitlines()[1:] == ["1,docker"]
    (build,) = lab.builds(name)
    assert build["spec"]["bases"][BASE].partition("@")[2].startswith("sha256:")
    assert [step["name"] for step in build["status"]["steps"]] == ["fetch", "commands", "push"]
    waiting.until(lab.pods_of_builds, what="the pods of builds", timeout=60)

    again = lab.ran(name, output=OUTPUT)
    assert "Building" not in [item["phase"] for item in again["phases"]], "the image is there"
    assert again["image"] == status["image"]

    lab.commit("another", Dockerfile=DOCKERFILE.encode())
    changed = lab.ran(name, output=OUTPUT)
    assert changed["image"] != status["image"]
    known = [item["status"]["pushed"].get("knownLayers", 0) for item in lab.builds(name)]
    assert max(known) > 0, "layers of the base are not sent again"


def test_a_step_that_fails_says_why(lab: Lab) -> None:
    lab.commit("broken", Dockerfile=f"FROM {BASE}\nRUN echo looking for it >&2; exit 3\n".encode())
    name = component(lab)
    status = lab.place.failed(lab.start(name), "BuildFailed", "exit code: 3")
    assert status["build"]["component"] == name
    (build,) = lab.builds(name)
    assert "looking for it" in build["status"]["lastWords"]


def test_a_repository_without_the_dockerfile_says_so(lab: Lab) -> None:
    lab.commit("none")
    lab.place.failed(lab.start(component(lab, dockerfile="docker/Other")), "BuildFailed", "docker/Other")


def test_a_step_that_leaves_a_process_behind_ends_with_the_timeout(lab: Lab) -> None:
    """BuildKit without root has no processes of its own to end: it waits for what the step has started."""
    lab.commit("left", Dockerfile=f"FROM {BASE}\nRUN sleep 10000 & echo started\nCOPY main.py /\n".encode())
    name = component(lab, timeout="20s")
    lab.place.failed(lab.start(name), "BuildTimeout", "timeout of 20 s")
    (build,) = lab.builds(name)
    assert "ends when all processes that it has started have ended" in build["status"]["advice"]
    waiting.until(lab.pods_of_builds, what="the pods of builds", timeout=60)


def test_steps_find_no_login_and_an_image_has_none(lab: Lab) -> None:
    pattern = f"[{PASSWORD[0]}]{PASSWORD[1:]}"  # so that the Dockerfile, which a step may see, does not match itself
    lab.commit("search", Dockerfile=SEARCH.format(base=BASE, password=pattern).encode())
    name = component(lab)
    status = lab.ran(name)
    texts = {
        **parts_of(status["image"]),
        "run": json.dumps(status).encode(),
        "build": json.dumps(lab.builds(name)).encode(),
        "events": b"".join(
            lab.place.tenant.kubectl("get", "events", "-n", namespace, "-o", "json").stdout.encode()
            for namespace in (lab.place.tenant.namespace, lab.builds_namespace)
        ),
        "log of the operator": lab.place.operator.log.read_bytes(),
    }
    encoded = base64.b64encode(f"{USER}:{PASSWORD}".encode())
    assert [what for what, text in texts.items() if PASSWORD.encode() in text or encoded in text] == []
    assert b"COPY main.py" in texts["configuration and history"]


def parts_of(image: str) -> dict[str, bytes]:
    """Manifest, configuration and uncompressed layers of an image in the cluster's registry."""
    name, _, digest = image.partition("@")
    repository = Repository(*name.split("/", 1))
    manifest, _ = repository.manifest(digest)
    layers = {layer["digest"]: gzip.decompress(repository.blob(layer["digest"])) for layer in manifest["layers"]}
    config = repository.blob(manifest["config"]["digest"])
    return {"manifest": json.dumps(manifest).encode(), "configuration and history": config, **layers}
