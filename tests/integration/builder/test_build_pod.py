"""The pod of a build on the real kubelet, in a namespace that enforces the restricted pod security standard.

A git server over https with a password, or over ssh; the cluster's own registry, or one with TLS and a login.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.core.builds.settings import BuildSettings
from componentrun.core.images.pullsecrets import Login
from componentrun.core.images.reference import Repository
from componentrun.reasons import Reason
from componentrun.registry.client import RegistryClient
from componentrun.registry.settings import RegistrySettings
from dev.cluster import connection as cluster_connection
from dev.cluster.host import address
from dev.images import ensure
from e2e.tenant.repository import Repository as WritableRepository
from e2e.tenant.tenant import create_namespace
from tests.integration.builder.gitservers import PASSWORD, USER, HttpsServer, ssh_server
from tests.integration.builder.onthecluster import Bench
from tests.integration.builder.parents import for_another_machine, index_of, with_layers
from tests.integration.builder.repositories import commit, new_repository
from tests.integration.registry.realregistry import PASSWORD as PUSH_PASSWORD
from tests.integration.registry.realregistry import USER as PUSH_USER
from tests.integration.registry.realregistry import Authority, RealRegistry
from tests.unit.builder.images import empty_layer, push_parent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.cluster

GIT_LOGIN = {"username": USER.encode(), "password": PASSWORD.encode(), "unrelated": b"unrelated-value"}
SECRETS = (PASSWORD, PUSH_PASSWORD, "unrelated-value")
MAIN = b"import sys\nprint('built from a repository', *sys.argv[1:])\n"


@pytest.fixture(scope="module")
def images() -> dict[str, str]:
    return ensure(cluster_connection.load(), ["componentrun", "test-components"])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"), address.node())


@pytest.fixture(scope="module")
def plain(images: dict[str, str]) -> str:
    """Host of the cluster's own registry, which is reached over HTTP."""
    return images["componentrun"].partition("/")[0]


@pytest.fixture(scope="module")
def bench(images: dict[str, str], authority: Authority, plain: str) -> Iterator[Bench]:
    connection = cluster_connection.load()
    if not connection.own:
        pytest.skip("its pods can't reach servers on this machine")
    place = create_namespace(connection, "build-pods")
    yield Bench(
        place,
        BuildSettings(
            is_enabled=True,
            namespace=place.namespace,
            repository=f"{plain}/builds",
            builder_image=images["componentrun"],
            memory_limit="512Mi",
            disk_limit="1Gi",
            plain_http=(plain,),
            ca_bundle=authority.certificate_file.read_text(),
        ),
    )
    place.kubectl("delete", "namespace", place.namespace, "--wait=false")


@pytest.fixture
def server(authority: Authority, tmp_path: Path) -> Iterator[HttpsServer]:
    repository = new_repository(tmp_path / "srv" / "app.git")
    with HttpsServer(authority, repository, address=address.node()).running() as running:
        yield running


@pytest.fixture
async def parent(images: dict[str, str], plain: str) -> str:
    """An image with Python and a shell."""
    return await by_digest(images["test-components"], plain)


async def by_digest(image: str, plain: str) -> str:
    name, _, tag = image.rpartition(":")
    repository = Repository(plain, name.partition("/")[2])
    async with RegistryClient(RegistrySettings(frozenset({plain}))) as client:
        return repository.at((await client.manifest(repository, tag, ())).digest)


def git(server: HttpsServer, revision: str) -> dict[str, Any]:
    return {"url": server.url, "commit": revision, "secretRef": {"name": "git"}}


def docker_config(host: str, user: str, password: str) -> bytes:
    return json.dumps({"auths": {host: {"username": user, "password": password}}}).encode()


def has_secret(content: bytes) -> list[str]:
    """The secrets that are in a text, as they are or in base64."""
    encoded = {base64.b64encode(text.encode()).decode(): text for text in SECRETS}
    encoded |= {
        base64.b64encode(f"{user}:{text}".encode()).decode(): text for text in SECRETS for user in (USER, PUSH_USER)
    }
    forms = {**encoded, **{text: text for text in SECRETS}}
    return [secret for form, secret in forms.items() if form.encode() in content]


def test_the_image_of_a_repository_runs(bench: Bench, server: HttpsServer, parent: str) -> None:
    revision = commit(server.repository, {b"main.py": MAIN, b"lib/data.txt": b"x" * 1000})
    built = bench.run(git(server, revision), parent, login=GIT_LOGIN)
    state = built.state
    assert state.phase == "Succeeded", (state.failure, bench.log(built, "commands"))
    assert [step.name for step in state.steps] == ["fetch", "commands", "push"]
    assert [step.exit_code for step in state.steps] == [0, 0, 0]
    assert state.pushed is not None
    assert (state.pushed.mounted_layers > 0, state.pushed.copied_layers) == (True, 0), "of the same registry"
    log = {step: bench.log(built, step) for step in ("fetch", "commands", "push")}
    assert f"at commit {revision[:12]}" in log["fetch"]
    assert "fetched 2 files, 1.1 kB" in log["fetch"]
    assert "componentrun: step 1 of 1: PYTHONPATH= " in log["commands"]
    assert f"pushed {built.build.spec.target}@{state.digest}" in log["push"]
    for text in (*log.values(), json.dumps(built.pod)):
        assert has_secret(text.encode()) == []
    image = f"{built.build.spec.target}@{state.digest}"
    assert bench.started(image, "now") == "built from a repository now\n"


def test_commands_see_no_login_and_can_not_change_what_is_pushed_beside_the_code(
    bench: Bench, server: HttpsServer, parent: str
) -> None:
    revision = commit(server.repository, {b"main.py": MAIN})
    probes = (
        "sleep 10000 & env > env.txt",
        "find / -xdev -type f -newer /code/main.py 2>/dev/null | sort > new.txt || true",
        "cat /proc/mounts > mounts.txt",
        "ls -R /run/componentrun > run.txt 2>&1",
        "find / -name '*token*' -path '*serviceaccount*' > token.txt 2>/dev/null || true",
        "cd /run/componentrun/control; for f in *; do echo x >> $f && echo $f >> /code/written.txt; done || :",
        "mv /run/componentrun/control /tmp/elsewhere && echo moved >> written.txt || :",
        'for place in /tmp "$HOME" "$TMPDIR" /; do echo here > "$place/outside" || :; done',
    )
    built = bench.run(
        git(server, revision),
        parent,
        login=GIT_LOGIN,
        registry=docker_config("registry.example.com", PUSH_USER, PUSH_PASSWORD),
        pulls=docker_config("registry.example.com", PUSH_USER, PUSH_PASSWORD),
        commands=probes,
        entrypoint=["sh", "-c", "cat /code/*.txt; ls /code; find / -name outside 2>/dev/null"],
    )
    assert built.state.phase == "Succeeded", (built.state.failure, bench.log(built, "commands"))
    seen = bench.started(f"{built.build.spec.target}@{built.state.digest}")
    assert has_secret(seen.encode()) == []
    assert "written.txt" not in seen
    assert "/outside" not in seen
    assert "grant" not in seen
    assert "serviceaccount" not in seen
    assert "SOURCE_DATE_EPOCH" in seen
    assert "KUBERNETES_SERVICE_HOST=\n" in seen


async def test_a_registry_with_a_login_gets_a_copy_of_the_parent_and_no_secret(
    bench: Bench, server: HttpsServer, parent: str, authority: Authority, tmp_path: Path
) -> None:
    registry = RealRegistry(tmp_path, authority, address=address.node())
    registry.start()
    try:
        there = bench.pushing_to(f"{registry.host}/builds", authority.certificate_file.read_text())
        revision = commit(server.repository, {b"main.py": MAIN})
        right = docker_config(registry.host, PUSH_USER, PUSH_PASSWORD)
        built = there.run(git(server, revision), parent, login=GIT_LOGIN, registry=right)
        assert built.state.phase == "Succeeded", built.state.failure
        assert built.state.pushed is not None
        assert built.state.pushed.copied_layers > 0
        contents = await everything(registry, built.build.spec.target, built.state.digest or "")
        contents += [there.log(built, step).encode() for step in ("fetch", "commands", "push")]
        contents.append(json.dumps(built.pod).encode())
        assert [has_secret(content) for content in contents] == [[]] * len(contents)
        assert any(MAIN in content for content in contents)

        wrong = docker_config(registry.host, PUSH_USER, "guessed-wrong")
        refused = there.run(git(server, revision), parent, login=GIT_LOGIN, registry=wrong).state.failure
        assert refused is not None
        assert (refused.reason, refused.is_transient) == (Reason.PUSH_REFUSED, False)
        assert "The registry refuses the user name or password" in refused.message
        assert "guessed-wrong" not in repr(refused)
    finally:
        registry.stop()


async def everything(registry: RealRegistry, target: str, digest: str) -> list[bytes]:
    """Manifest, configuration and the files of all new layers of an image."""
    repository = Repository(registry.host, target.partition("/")[2])
    login = (Login(PUSH_USER, PUSH_PASSWORD, "push"),)
    async with RegistryClient(registry.settings) as client:
        manifest = await client.manifest(repository, digest, login)
        assert manifest.config is not None
        config = await client.blob(repository, manifest.config.digest, login, limit=2**22)
        last = await client.blob(repository, manifest.children[-1].digest, login, limit=2**22)
    with tarfile.open(fileobj=io.BytesIO(last), mode="r:gz") as archive:
        names = "\n".join(archive.getnames()).encode()
    return [manifest.content, config, names, gzip.decompress(last)]


def test_a_command_that_fails_is_told_with_its_last_words(bench: Bench, server: HttpsServer, parent: str) -> None:
    revision = commit(server.repository, {b"main.py": MAIN})
    commands = ["echo first", "echo 'the column `id` is missing' >&2; exit 3", "echo never"]
    built = bench.run(git(server, revision), parent, login=GIT_LOGIN, commands=commands)
    failure = built.state.failure
    assert failure is not None
    assert failure.reason is Reason.BUILD_FAILED
    assert failure.message == (
        "Command 2 of 3 `echo 'the column `id` is missing' >&2; exit 3` ended with exit code 3: "
        "the column `id` is missing."
    )
    assert "componentrun: step 1 of 3: echo first\nfirst\n" in (failure.last_words or "")
    assert not built.state.is_gone
    assert [step.name for step in built.state.steps] == ["fetch", "commands"]


CASES = {
    "no such program": (["uv sync"], Reason.BUILD_FAILED, "has no program `uv`"),
    "no such program, and root": (["apk add git"], Reason.BUILD_FAILED, "Commands run as user 1000"),
    "root": (["apt-get install --yes git"], Reason.BUILD_FAILED, "Commands run as user 1000"),
    "a folder of root": (["mkdir /usr/share/mine"], Reason.BUILD_FAILED, "Commands run as user 1000"),
    "no network": (
        ["python3 -c 'import urllib.request as u; u.urlopen(\"https://no-such-host.example.com\")'"],
        Reason.BUILD_FAILED,
        "lets builds connect",
    ),
    "memory": (["python3 -c 'x = b\"1\" * 2**31'"], Reason.BUILD_OUT_OF_MEMORY, "use less memory"),
    "timeout": (["sleep 300"], Reason.BUILD_TIMEOUT, "Raise `build.timeout`"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_to_do_about_it_is_told(bench: Bench, server: HttpsServer, parent: str, case: str) -> None:
    commands, reason, advice = CASES[case]
    revision = commit(server.repository, {b"main.py": MAIN})
    seconds = 8 if case == "timeout" else 100
    built = bench.run(git(server, revision), parent, login=GIT_LOGIN, commands=commands, timeoutSeconds=seconds)
    failure = built.state.failure
    assert failure is not None
    assert (failure.reason, built.state.is_gone) == (reason, False), failure
    assert advice in failure.advice, failure


@pytest.mark.long
def test_a_folder_that_grows_too_large_is_a_full_disk(bench: Bench, server: HttpsServer, parent: str) -> None:
    revision = commit(server.repository, {b"main.py": MAIN})
    commands = ["head -c 1200M /dev/zero > large; sleep 100"]
    failure = bench.run(git(server, revision), parent, login=GIT_LOGIN, commands=commands).state.failure
    assert failure is not None
    assert failure.reason is Reason.BUILD_DISK_FULL, failure
    assert "code" in failure.message


def test_a_wrong_password_is_the_source_and_not_printed(bench: Bench, server: HttpsServer, parent: str) -> None:
    revision = commit(server.repository, {b"main.py": MAIN})
    login = {"username": USER.encode(), "password": b"guessed-wrong"}
    built = bench.run(git(server, revision), parent, login=login)
    failure = built.state.failure
    assert failure is not None
    assert (failure.reason, failure.is_transient) == (Reason.SOURCE_UNAVAILABLE, False)
    assert server.url in failure.message
    assert "guessed-wrong" not in repr(failure) + bench.log(built, "fetch") + json.dumps(built.pod)


async def test_a_parent_without_a_shell_or_without_itself_is_named(
    bench: Bench, server: HttpsServer, plain: str
) -> None:
    revision = commit(server.repository, {b"main.py": MAIN})
    repository = Repository(plain, "test-parents/scratch")
    digest = await push_parent(RegistrySettings(frozenset({plain})), repository, layer=empty_layer())
    failure = bench.run(git(server, revision), repository.at(digest), login=GIT_LOGIN).state.failure
    assert failure is not None
    assert failure.reason is Reason.PARENT_UNAVAILABLE, failure.message
    assert "has no shell" in failure.message
    failure = bench.run(git(server, revision), repository.at("sha256:" + "1" * 64), login=GIT_LOGIN).state.failure
    assert failure is not None
    assert failure.reason is Reason.PARENT_UNAVAILABLE
    assert "has no digest" in failure.message


def test_parents_for_another_machine_or_with_too_many_layers_are_named(
    bench: Bench, server: HttpsServer, images: dict[str, str]
) -> None:
    revision = commit(server.repository, {b"main.py": MAIN})
    place, tag = WritableRepository.of(images["test-components"])
    other = for_another_machine(place, tag)
    full = with_layers(place, tag, 127)
    expected = {
        other: "there for linux/arm64, and the build needs linux/amd64",
        index_of(place, other, "arm64", "s390x"): "does not exist for the node's architecture",
        full: "has 127 layers; with those of the build the image would have 128",
    }
    for digest, words in expected.items():
        failure = bench.run(git(server, revision), f"{place.name}@{digest}", login=GIT_LOGIN).state.failure
        assert failure is not None, words
        assert failure.reason is Reason.PARENT_UNAVAILABLE, failure.message
        assert words in failure.message
        assert digest in failure.message
        assert failure.advice.startswith("Choose a parent image")


def test_an_index_is_a_parent(bench: Bench, server: HttpsServer, images: dict[str, str]) -> None:
    revision = commit(server.repository, {b"main.py": MAIN})
    place, tag = WritableRepository.of(images["test-components"])
    index = index_of(place, with_layers(place, tag, 0), "s390x", "amd64")
    built = bench.run(git(server, revision), f"{place.name}@{index}", login=GIT_LOGIN)
    assert built.state.phase == "Succeeded", built.state.failure


@pytest.mark.long
def test_commands_that_print_a_gigabyte(bench: Bench, server: HttpsServer, parent: str) -> None:
    revision = commit(server.repository, {b"main.py": MAIN})
    loud = "head -c 1000000000 /dev/zero | tr '\\0' x; echo; echo the end"
    built = bench.run(git(server, revision), parent, login=GIT_LOGIN, commands=[loud, "exit 3"], timeoutSeconds=110)
    failure = built.state.failure
    assert failure is not None
    assert "Command 2 of 2 `exit 3` ended with exit code 3" in failure.message, failure
    assert len(json.dumps(built.pod)) < 20_000


async def test_a_repository_over_ssh(bench: Bench, parent: str, tmp_path: Path) -> None:
    repository = new_repository(tmp_path / "srv" / "app.git")
    revision = commit(repository, {b"main.py": MAIN})
    async with ssh_server(address.node()) as server:
        source = {"url": server.url(tmp_path / "srv" / "app.git"), "commit": revision}
        login = {"ssh-privatekey": server.login.private_key.encode(), "known_hosts": server.login.known_hosts.encode()}
        built = await asyncio.to_thread(bench.run, source, parent, login=login)
        assert built.state.phase == "Succeeded", built.state.failure
        stranger = {**login, "known_hosts": server.other_host.known_hosts.encode()}
        refused = await asyncio.to_thread(bench.run, source, parent, login=stranger)
        assert refused.state.failure is not None
        assert refused.state.failure.reason is Reason.SOURCE_UNAVAILABLE
