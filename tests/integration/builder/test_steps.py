"""A whole build: a repository over https, its commands in a shell, an image in a registry.

The commands run on this machine instead of in the parent image.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from componentrun.builder.preparing import Folders, Prepared, prepare
from componentrun.builder.publishing import Published, publish
from componentrun.core.builds.errors import BuildError, BuildProblem, GitAwayError, LostLayerError
from componentrun.core.builds.exchange import SCRIPT_FILE
from componentrun.core.builds.identity import BuildInputs
from componentrun.core.images.pullsecrets import Login, PullSecret
from componentrun.registry.client import RegistryClient
from tests.integration.builder.gitservers import LOGIN, PASSWORD, HttpsServer
from tests.integration.builder.repositories import Item, commit, new_repository
from tests.integration.registry.realregistry import PASSWORD as PUSH_PASSWORD
from tests.integration.registry.realregistry import USER, Authority, RealRegistry
from tests.unit.builder.images import parent_layer, push_parent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from componentrun.builder.pushing import Pushed
    from componentrun.core.builds.dependencies.layer import DependencyLayer

ANN = Login(USER, PUSH_PASSWORD, "push")
TARGET = "builds/tenant/app"


def wheel(name: str, text: str, version: str = "1.0") -> bytes:
    """A wheel of one module, because tests have no package index."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": text,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(content)}\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, content in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(zipfile.ZipInfo(path), content)
    return out.getvalue()


FILES: Mapping[bytes, Item | bytes] = {
    b"main.py": b"import greeting\nprint(greeting.TEXT)\n",
    b"requirements.txt": b"--no-index\n--find-links wheels\ngreeting==1.0\n",
    b"wheels/greeting-1.0-py3-none-any.whl": wheel("greeting", "TEXT = 'hello'\n"),
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HttpsServer]:
    with HttpsServer(Authority.create(tmp_path), new_repository(tmp_path / "srv" / "app.git")).running() as running:
        yield running


@pytest.fixture
async def registry(tmp_path: Path, server: HttpsServer) -> AsyncIterator[RealRegistry]:
    running = RealRegistry(tmp_path, server.authority)
    running.start()
    yield running
    running.stop()


class Build:
    """One build in folders of its own."""

    def __init__(self, server: HttpsServer, registry: RealRegistry, inputs: BuildInputs, folder: Path) -> None:
        self.server, self.registry, self.inputs, self.folder = server, registry, inputs, folder
        self.code = Path(inputs.folder)
        for path in (self.code, folder / "source", folder / "control", folder / "home"):
            path.mkdir(parents=True)

    def fetch(self, *known: DependencyLayer) -> Prepared:
        """The first step."""
        folder = self.folder
        folders = Folders(self.code, folder / "source", folder / "control", str(folder / "home"))
        return prepare(self.inputs, LOGIN, folders, self.server.settings, known)

    def run(self) -> subprocess.CompletedProcess[str]:
        """The commands, with nothing in their environment but a path."""
        script = str(self.folder / "control" / SCRIPT_FILE)
        path = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
        return subprocess.run(["/bin/sh", script], capture_output=True, text=True, check=False, env=path)

    async def push(self) -> Published:
        """The last step."""
        secrets = [PullSecret("push", {self.registry.host: ANN})]
        control = self.folder / "control"
        return await publish(self.inputs, secrets, secrets, self.code, control, self.registry.settings)

    async def whole(self) -> Pushed:
        """All steps."""
        return (await self.published())[0].pushed

    async def published(self, *known: DependencyLayer) -> tuple[Published, str]:
        """All steps, with what the commands have printed. Earlier builds have pushed the layers of `known`."""
        self.fetch(*known)
        done = self.run()
        assert done.returncode == 0, done.stdout + done.stderr
        return await self.push(), done.stdout


async def inputs_for(server: HttpsServer, registry: RealRegistry, revision: str, folder: Path) -> BuildInputs:
    source = registry.repository("library/python")
    parent = await push_parent(registry.settings, source, ANN)
    return BuildInputs(
        url=server.url, commit=revision, parent=source.at(parent), platform="linux/amd64", folder=str(folder / "code"),
        target=registry.repository(TARGET).name,
    )  # fmt: skip


def started(entrypoint: list[str], variables: Mapping[str, str]) -> str:
    """What a program prints."""
    return subprocess.run(entrypoint, capture_output=True, text=True, check=True, env=variables).stdout


async def image(registry: RealRegistry, digest: str, target: str = TARGET) -> tuple[dict[str, object], list[bytes]]:
    repository = registry.repository(target)
    async with RegistryClient(registry.settings) as client:
        manifest = await client.manifest(repository, digest, (ANN,))
        assert manifest.config is not None
        config = json.loads(await client.blob(repository, manifest.config.digest, (ANN,), limit=2**20))
        layers = [await client.blob(repository, item.digest, (ANN,), limit=2**20) for item in manifest.children]
    return config, layers


async def test_a_python_repository_becomes_an_image_that_runs(
    server: HttpsServer, registry: RealRegistry, tmp_path: Path
) -> None:
    revision = commit(server.repository, FILES)
    inputs = await inputs_for(server, registry, revision, tmp_path / "build")
    done = await Build(server, registry, inputs, tmp_path / "build").whole()
    config, (_, dependencies, code) = await image(registry, done.digest)
    settings = config["config"]
    assert isinstance(settings, dict)
    assert settings["Labels"]["org.opencontainers.image.revision"] == revision
    root = tmp_path / "root"
    for layer in (dependencies, code):
        with tarfile.open(fileobj=io.BytesIO(layer), mode="r:gz") as archive:
            archive.extractall(root, filter="tar")
    folder = root / inputs.folder.strip("/")
    entrypoint = [part.replace(inputs.folder, str(folder)) for part in settings["Entrypoint"]]
    variables = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder / ".packages")}
    assert f"PYTHONPATH={inputs.folder}/.packages" in settings["Env"]
    assert started(entrypoint, variables) == "hello\n"


async def test_the_same_input_gives_the_same_image_whoever_builds_it(
    server: HttpsServer, registry: RealRegistry, tmp_path: Path
) -> None:
    inputs = await inputs_for(server, registry, commit(server.repository, FILES), tmp_path / "build")
    first = await Build(server, registry, inputs, tmp_path / "build").whole()
    (tmp_path / "build").rename(tmp_path / "first")
    elsewhere = replace(inputs, target=registry.repository("builds/other/app").name)
    second = await Build(server, registry, elsewhere, tmp_path / "build").whole()
    assert (second.digest, second.was_there) == (first.digest, False)


async def test_only_the_layer_of_the_code_is_sent_for_a_changed_line(
    server: HttpsServer, registry: RealRegistry, tmp_path: Path
) -> None:
    inputs = await inputs_for(server, registry, commit(server.repository, FILES), tmp_path / "build")
    first = await Build(server, registry, inputs, tmp_path / "build").whole()
    (tmp_path / "build").rename(tmp_path / "first")
    changed = commit(server.repository, {**FILES, b"main.py": b"print('changed')\n"})
    second = await Build(server, registry, replace(inputs, commit=changed), tmp_path / "build").whole()
    assert second.digest != first.digest
    assert second.known == 2, "the parent's layer and the dependencies"


PINNED: Mapping[bytes, Item | bytes] = {b"main.py": FILES[b"main.py"], b"requirements.txt": b"greeting==1.0\n"}


async def pinned_inputs(
    server: HttpsServer, registry: RealRegistry, folder: Path, files: Mapping[bytes, Item | bytes] = PINNED
) -> BuildInputs:
    """A build of files that pin their dependencies, whose wheels are outside of the repository."""
    wheels = folder.parent / "wheels"
    wheels.mkdir(exist_ok=True)
    for text, version in (("hello", "1.0"), ("bye", "2.0")):
        content = wheel("greeting", f"TEXT = '{text}'\n", version)
        (wheels / f"greeting-{version}-py3-none-any.whl").write_bytes(content)
    inputs = await inputs_for(server, registry, commit(server.repository, files), folder)
    return replace(inputs, arguments=(("PIP_FIND_LINKS", str(wheels)), ("PIP_NO_INDEX", "1")))


def again(server: HttpsServer, registry: RealRegistry, inputs: BuildInputs, folder: Path) -> Build:
    """A further build in the same folder, which decides what is in the layers."""
    shutil.rmtree(folder)
    return Build(server, registry, inputs, folder)


async def test_a_changed_line_installs_nothing_and_gives_the_same_image_as_if_it_had(
    server: HttpsServer, registry: RealRegistry, tmp_path: Path
) -> None:
    place = tmp_path / "build"
    inputs = await pinned_inputs(server, registry, place)
    first, printed = await Build(server, registry, inputs, place).published()
    assert "pip install" in printed
    assert first.dependencies is not None
    assert not first.were_reused

    changed = replace(inputs, commit=commit(server.repository, {**PINNED, b"main.py": b"print('changed')\n"}))
    second, printed = await again(server, registry, changed, place).published(first.dependencies)
    assert "pip install" not in printed
    assert (second.dependencies, second.were_reused) == (first.dependencies, True)
    assert second.pushed.known == 2, "the parent's layer and the dependencies"
    repository = registry.repository(TARGET)
    async with RegistryClient(registry.settings) as client:
        manifest = await client.manifest(repository, second.pushed.digest, (ANN,))
    assert manifest.config is not None
    document = json.loads(manifest.content)
    assert second.pushed.sent_bytes == document["config"]["size"] + document["layers"][-1]["size"]

    elsewhere = replace(changed, target=registry.repository("builds/other/app").name)
    installed, printed = await again(server, registry, elsewhere, place).published()
    assert "pip install" in printed
    assert installed.pushed.digest == second.pushed.digest


@pytest.mark.parametrize("changed", ["lock file", "parent", "argument"])
async def test_dependencies_are_installed_again_if_they_may_be_others(
    server: HttpsServer, registry: RealRegistry, tmp_path: Path, changed: str
) -> None:
    place = tmp_path / "build"
    inputs = await pinned_inputs(server, registry, place)
    first, _ = await Build(server, registry, inputs, place).published()
    assert first.dependencies is not None
    if changed == "lock file":
        newer = {**PINNED, b"requirements.txt": b"greeting==2.0\n"}
        inputs = replace(inputs, commit=commit(server.repository, newer))
    elif changed == "parent":
        source = registry.repository("library/python")
        other = await push_parent(registry.settings, source, ANN, parent_layer("other"))
        inputs = replace(inputs, parent=source.at(other))
    else:
        inputs = replace(inputs, arguments=(*inputs.arguments, ("PIP_VERBOSE", "0")))
    second, printed = await again(server, registry, inputs, place).published(first.dependencies)
    assert "pip install" in printed
    assert second.dependencies is not None
    assert second.dependencies.key != first.dependencies.key
    assert (second.dependencies.digest != first.dependencies.digest) == (changed == "lock file")


async def test_code_of_a_commit_has_no_effect_on_the_layer_that_others_get(
    server: HttpsServer, registry: RealRegistry, tmp_path: Path
) -> None:
    """Whoever may push a branch must not be able to change the dependencies of other branches."""
    place = tmp_path / "build"
    change = b"from pathlib import Path\nfor path in Path('.packages').glob('*.py'): path.write_text('TEXT = 0')\n"
    attack = dict.fromkeys(
        (b"pip/__init__.py", b"pip/__main__.py", b"compileall.py", b"re.py", b"sitecustomize.py"), change
    )
    inputs = await pinned_inputs(server, registry, place)
    # Even if the Component itself has code of the repository loaded.
    inputs = replace(inputs, arguments=(*inputs.arguments, ("PYTHONPATH", inputs.folder)))
    first, _ = await Build(server, registry, inputs, place).published()
    attacked = replace(inputs, commit=commit(server.repository, {**PINNED, **attack}))
    second, printed = await again(server, registry, attacked, place).published()
    assert "pip install" in printed
    assert second.pushed.digest != first.pushed.digest
    assert second.dependencies == first.dependencies


async def test_a_layer_that_the_registry_has_deleted_is_missed_before_an_image_names_it(
    server: HttpsServer, registry: RealRegistry, tmp_path: Path
) -> None:
    place = tmp_path / "build"
    inputs = await pinned_inputs(server, registry, place)
    first, _ = await Build(server, registry, inputs, place).published()
    assert first.dependencies is not None
    await registry.delete_image(TARGET, first.pushed.digest)
    registry.collect_garbage()
    changed = replace(inputs, commit=commit(server.repository, {**PINNED, b"main.py": b"print('changed')\n"}))
    with pytest.raises(LostLayerError, match=first.dependencies.digest):
        await again(server, registry, changed, place).published(first.dependencies)
    second, printed = await again(server, registry, changed, place).published()
    assert "pip install" in printed
    assert not second.pushed.was_there
    assert second.dependencies == first.dependencies
    assert len((await image(registry, second.pushed.digest))[1]) == 3


async def test_no_login_is_in_the_image_or_in_what_the_commands_see(
    server: HttpsServer, registry: RealRegistry, tmp_path: Path
) -> None:
    revision = commit(server.repository, {b"main.py": b""})
    inputs = await inputs_for(server, registry, revision, tmp_path / "build")
    inputs = replace(inputs, commands=("env > seen.txt; ls -a > files.txt",))
    build = Build(server, registry, inputs, tmp_path / "build")
    done = await build.whole()
    secrets = [text.encode() for text in (PASSWORD, PUSH_PASSWORD)]
    encoded = [base64.b64encode(f"{USER}:{text}".encode()) for text in (PASSWORD, PUSH_PASSWORD)]
    config, layers = await image(registry, done.digest)
    contents = [json.dumps(config).encode(), *(tar_content(layer) for layer in layers[1:])]
    contents += [path.read_bytes() for path in (tmp_path / "build").rglob("*") if path.is_file()]
    assert b"SOURCE_DATE_EPOCH" in contents[1]
    for content in contents:
        assert not any(secret in content for secret in [*secrets, *encoded])
    assert (build.code / "files.txt").read_text().split() == [".", "..", "files.txt", "main.py", "seen.txt"]


def tar_content(layer: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(layer), mode="r:gz") as archive:
        streams = [archive.extractfile(member) for member in archive.getmembers() if member.isfile()]
        return b"".join(stream.read() for stream in streams if stream is not None)


async def test_a_package_that_does_not_exist_fails_the_commands_with_its_name(
    server: HttpsServer, registry: RealRegistry, tmp_path: Path
) -> None:
    files = {**FILES, b"requirements.txt": b"--no-index\n--find-links wheels\nno-such-package==1\n"}
    inputs = await inputs_for(server, registry, commit(server.repository, files), tmp_path / "build")
    build = Build(server, registry, inputs, tmp_path / "build")
    build.fetch()
    done = build.run()
    assert done.returncode == 1
    first, *errors = done.stdout.splitlines()
    assert first.startswith("componentrun: step 1 of 3: ")
    assert "no-such-package" in "".join(errors)


async def test_a_lock_file_that_does_not_fit_its_project_is_named_before_anything_is_installed(
    server: HttpsServer, registry: RealRegistry, tmp_path: Path
) -> None:
    root = '[[package]]\nname = "app"\nsource = { virtual = "." }\n'
    lock = root + '[package.metadata]\nrequires-dist = [{ name = "six" }]\n'
    files: Mapping[bytes, Item | bytes] = {
        b"main.py": b"import idna\n",
        b"pyproject.toml": b'[project]\nname = "app"\ndependencies = ["six", "idna"]\n',
        b"uv.lock": lock.encode(),
    }
    inputs = await inputs_for(server, registry, commit(server.repository, files), tmp_path / "build")
    build = Build(server, registry, inputs, tmp_path / "build")
    with pytest.raises(BuildError, match=r"names `idna`, which `uv\.lock` does not have") as caught:
        build.fetch()
    assert caught.value.problem is BuildProblem.LOCK_OUTDATED
    assert list((tmp_path / "build" / "control").iterdir()) == []


async def test_a_parent_for_another_machine_is_named(
    server: HttpsServer, registry: RealRegistry, tmp_path: Path
) -> None:
    inputs = await inputs_for(server, registry, commit(server.repository, FILES), tmp_path / "build")
    build = Build(server, registry, replace(inputs, platform="linux/arm64"), tmp_path / "build")
    build.fetch()
    with pytest.raises(BuildError, match="is there for linux/amd64, and the build needs linux/arm64") as caught:
        await build.push()
    assert caught.value.problem is BuildProblem.UNUSABLE_PARENT


async def test_a_git_host_that_is_away_for_a_moment_is_asked_again(
    server: HttpsServer, registry: RealRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("componentrun.builder.retrying._GIT_WAITS", (0.0, 0.0))
    answers = [("503 Service Unavailable", [], b"")] * 2
    server.answer = lambda _path: answers.pop() if answers else None
    inputs = await inputs_for(server, registry, commit(server.repository, FILES), tmp_path / "build")
    build = Build(server, registry, inputs, tmp_path / "build")
    build.fetch()
    assert (build.folder / "source" / "main.py").exists()
    answers += [("503 Service Unavailable", [], b"")] * 3
    with pytest.raises(GitAwayError, match="it answered 503"):
        build.fetch()
    assert answers == []
