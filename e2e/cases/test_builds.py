"""Images from git repositories, with an operator that the chart has installed: rights, network, https and ssh."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import tarfile
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.common import API_VERSION, GROUP, VERSION
from componentrun.api.names import OPERATOR_LABEL
from dev.cluster.host import address
from dev.images import ensure
from dev.install import IMAGES, install, uninstall
from e2e import tenant as tenants
from e2e.tenant.repository import Repository
from e2e.tenant.tenant import SMALL
from tests.integration.builder import repositories
from tests.integration.builder.gitservers import PASSWORD, USER, HttpsServer, SshServer, ssh_server
from tests.integration.registry.realregistry import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dulwich.repo import Repo

    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant

PROGRAM = b"""
import helper, os, pathlib
data = pathlib.Path(os.environ["KBC_DATADIR"])
(data / "out/tables/built.csv").write_text(f"id,text\\n1,{helper.TEXT}\\n")
print(helper.TEXT, "from a repository")
"""
OUTPUT = {"tables": [{"source": "built.csv", "destination": "out.c-main.built"}]}
PROBE = """
import socket, sys
for host, port in (("10.96.0.1", 443), ("169.254.169.254", 80), ("192.0.2.200", 443), ("HERE", 6443)):
    try:
        socket.create_connection((host, port), timeout=3)
    except OSError as error:
        print(host, port, "refused:", type(error).__name__)
    else:
        print(host, port, "REACHED")
"""
SEARCH = r"""
cat /proc/self/environ /proc/1/environ 2>/dev/null | tr '\0' '\n' > found.txt
find / -xdev -path /proc -prune -o -type f -size -64k -readable -print0 2>/dev/null \
  | xargs -0 -r grep -l -F -e "$(python3 -c 'import os; print(os.environ["WANTED"][::-1])')" 2>/dev/null \
  | grep -v -x -F /code/found.txt >> found.txt
ls -la / /run /var/run/secrets /run/componentrun 2>&1 >> found.txt
id >> found.txt
touch /run/componentrun/control/x 2>> found.txt
true
"""
"""Looks for the password, which it knows backwards, so that it does not find itself."""


@dataclass
class Lab:
    """A tenant of an operator that builds, and a repository that is served by https and ssh."""

    tenant: Tenant
    operator: str
    image: str
    https: HttpsServer
    ssh: SshServer
    repository: Repo
    folder: Path
    target: str
    """Beginning of the names of images."""

    def commit(self, text: str) -> None:
        """Commit a program that writes this text into a table."""
        files = {b"main.py": PROGRAM, b"helper.py": f"TEXT = {text!r}\n".encode()}
        repositories.commit(self.repository, files)

    def component(self, git: dict[str, Any], **build: Any) -> str:
        """Create a Component with one channel that is built. Returns its name."""
        name = f"app-{uuid.uuid4().hex[:8]}"
        image, _, tag = self.image.rpartition(":")
        channel = {"name": "master", "build": {"source": {"git": {"ref": "main", **git}}, **build}}
        self.tenant.apply("Component", name, {"image": image, "tag": tag, "channels": [channel], "resources": SMALL})
        return name

    def by_https(self) -> dict[str, Any]:
        return {"url": self.https.url, "secretRef": {"name": "https-login"}}

    def by_ssh(self) -> dict[str, Any]:
        return {"url": self.ssh.url(self.folder), "secretRef": {"name": "ssh-login"}}

    def ended(self, component: str) -> dict[str, Any]:
        """Status of a run that has ended."""
        name = f"r-{uuid.uuid4().hex[:8]}"
        body = {
            "apiVersion": API_VERSION,
            "kind": "ComponentRun",
            "metadata": {"name": name, "labels": {OPERATOR_LABEL: self.operator}},
            "spec": {"component": component, "output": OUTPUT, "timeout": "2m"},
        }
        self.tenant.kubectl("create", "--filename=-", stdin=json.dumps(body))
        return dict(self.tenant.wait(name, timeout=300)["status"])

    def ran(self, component: str) -> dict[str, Any]:
        """Status of a run, which must succeed."""
        status = self.ended(component)
        assert status["phase"] == "Succeeded", status
        return status

    def build(self, component: str) -> dict[str, Any]:
        """The only build of a Component."""
        custom = self.tenant.custom
        found = custom.list_namespaced_custom_object(GROUP, VERSION, self.tenant.namespace, "componentbuilds")["items"]
        (build,) = [item for item in found if item["spec"]["component"] == component]
        return dict(build)


def parts_of(image: str) -> list[bytes]:
    """Manifest, configuration and uncompressed layers of an image in the cluster's registry."""
    name, _, digest = image.partition("@")
    host, _, path = name.partition("/")
    repository = Repository(host, path)
    manifest, _ = repository.manifest(digest)
    layers = [gzip.decompress(repository.blob(layer["digest"])) for layer in manifest["layers"]]
    return [json.dumps(manifest).encode(), repository.blob(manifest["config"]["digest"]), *layers]


def files_of(image: str) -> dict[str, bytes]:
    """Content of the files of the last layers, which the build has added, by path."""
    found = {}
    for layer in parts_of(image)[-2:]:
        with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
            for member in archive:
                if (file := archive.extractfile(member)) is not None:
                    found[member.name.lstrip("./")] = file.read()
    return found


@contextmanager
def served_by_ssh(here: str) -> Iterator[SshServer]:
    """Run the server in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    context = ssh_server(here)
    try:
        yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(30)
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def lab(connection: Connection, components: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if not connection.own or connection.registry is None:
        pytest.skip("a git server on this machine can't be reached from a stranger's pods")
    name, here = f"builds-{uuid.uuid4().hex[:6]}", address.node()
    folder = tmp_path_factory.mktemp("git")
    authority = Authority.create(folder, here)
    repository = repositories.new_repository(folder / "app.git")
    tenant = tenants.create(connection)
    registry, _, port = connection.registry.partition("/")[0].partition(":")
    target = f"{connection.registry.partition('/')[0]}/{name}"
    with HttpsServer(authority, repository, address=here).running() as https, served_by_ssh(here) as ssh:
        tenant.secret("https-login", {"username": USER, "password": PASSWORD})
        tenant.secret("ssh-login", {"ssh-privatekey": ssh.login.private_key, "known_hosts": ssh.login.known_hosts})
        tenant.secret(
            "other-host", {"ssh-privatekey": ssh.login.private_key, "known_hosts": ssh.other_host.known_hosts}
        )
        ports = [{"port": int(item), "protocol": "TCP"} for item in (port, https.port, ssh.port)]
        values = {
            "operatorName": name,
            "fullnameOverride": name,
            "namespaces": [tenant.namespace],
            "operator": {"registries": {"caBundle": authority.certificate_file.read_text()}},
            "builds": {
                "enabled": True,
                "namespace": f"{name}-pods",
                "repository": target,
                "network": {"egress": [{"to": [{"ipBlock": {"cidr": f"{registry}/32"}}], "ports": ports}]},
            },
            "crds": {"install": False},
            "rbac": {"aggregate": False},
            "admissionPolicy": {"enabled": False},
            "collector": {"enabled": False},
        }
        install(connection, ensure(connection, IMAGES), values, namespace=name)
        yield Lab(tenant, name, components, https, ssh, repository, folder / "app.git", target)
        uninstall(connection, namespace=name)
        tenant.kubectl("delete", "namespace", f"{name}-pods", "--wait=false")
        tenant.delete()


@pytest.mark.parametrize("way", ["https", "ssh"])
def test_a_private_repository_is_built_and_run(lab: Lab, way: str) -> None:
    lab.commit(f"by {way}")
    component = lab.component(lab.by_https() if way == "https" else lab.by_ssh())
    status = lab.ran(component)
    assert status["image"].startswith(f"{lab.target}/{lab.tenant.namespace}/{component}@sha256:")
    assert (lab.tenant.table("out.c-main.built") or "").splitlines()[1:] == [f"1,by {way}"]


def test_commands_reach_only_what_the_platform_names_and_find_no_login(lab: Lab) -> None:
    lab.commit("attack")
    probe = PROBE.replace("HERE", address.node()).strip()
    commands = [
        f"cat > probe.py <<'END'\n{probe}\nEND",
        "python3 probe.py > reached.txt",
        SEARCH.strip(),
    ]
    program = ["python3", "/code/main.py"]
    component = lab.component(
        lab.by_https(), commands=commands, entrypoint=program, arguments={"WANTED": PASSWORD[::-1]}
    )
    status = lab.ran(component)
    files = files_of(status["image"])
    reached = files["code/reached.txt"].decode()
    assert reached.count("refused:") == 4, reached
    found = files["code/found.txt"].decode()
    assert "uid=1000" in found
    assert PASSWORD not in found
    assert "serviceaccount" not in found
    assert "control/x': Read-only file system" in found, "the commands can't write what the last step reads"


def test_no_login_is_in_an_image_or_a_build(lab: Lab) -> None:
    lab.commit("secret")
    component = lab.component(lab.by_https())
    status = lab.ran(component)
    secrets = (PASSWORD, lab.ssh.login.private_key.splitlines()[1])
    texts = {
        "image": b"".join([*parts_of(status["image"]), *files_of(status["image"]).values()]),
        "build": json.dumps(lab.build(component)).encode(),
        "run": json.dumps(status).encode(),
        "log of the operator": lab.tenant.kubectl(
            "logs", "-n", lab.operator, "-l", "app.kubernetes.io/component=operator", "--tail=-1"
        ).stdout.encode(),
    }
    for what, text in texts.items():
        for secret in secrets:
            assert secret.encode() not in text, what


def test_a_host_with_another_key_is_not_trusted(lab: Lab) -> None:
    lab.commit("stranger")
    component = lab.component({"url": lab.ssh.url(lab.folder), "secretRef": {"name": "other-host"}})
    status = lab.ended(component)
    assert (status["phase"], status["reason"]) == ("Failed", "SourceUnavailable"), status
    assert "is not among the keys in `known_hosts`" in status["message"]
