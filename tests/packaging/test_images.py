"""The image of operator, collector and agents, layer by layer; and how images get their tags."""

from __future__ import annotations

import dataclasses
import fnmatch
import gzip
import io
import json
import os
import re
import socket
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dev.cluster import paths
from dev.cluster.connection import file_of
from dev.images import IMAGES, Image, build, engines, staging
from dev.images.catalogue import ROOT

IMAGE = IMAGES["componentrun"]
MIB = 2**20
TOOLS = {"pip", "pip3", "uv", "uvx", "gcc", "cc", "make", "git", "curl", "wget"}
PACKAGE = re.compile(r"(^|/)site-packages/componentrun/")


@dataclass(frozen=True)
class Packed:
    """An image as its archive holds it."""

    config: dict[str, Any]
    files: dict[str, bytes]
    """Content of every regular file of every layer, also of those that a later layer hides."""
    links: dict[str, str]

    @property
    def size(self) -> int:
        return sum(map(len, self.files.values()))


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    return unpack(IMAGE, tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="session")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    return unpack(IMAGES["componentrun-loader"], tmp_path_factory.mktemp("loader"))


def unpack(recipe: Image, folder: Path) -> Packed:
    archive = folder / "image.tar"
    reference = build([recipe.name])[recipe.name]
    engines.find().save(reference, archive)
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}
    with tarfile.open(archive) as outer:

        def member(name: str) -> bytes:
            stream = outer.extractfile(name)
            assert stream is not None, name
            return stream.read()

        (manifest,) = json.loads(member("manifest.json"))
        for number, layer in enumerate(manifest["Layers"]):
            content = member(layer)
            content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
            with tarfile.open(fileobj=io.BytesIO(content)) as inner:
                for entry in inner:
                    name = f"{number}:/{entry.name.lstrip('./')}"
                    if entry.isfile():
                        stream = inner.extractfile(entry)
                        files[name] = stream.read() if stream else b""
                    elif entry.issym():
                        links[name] = entry.linkname
        config = json.loads(member(manifest["Config"]))
    archive.unlink()
    return Packed(config, files, links)


def names(image: Packed) -> set[str]:
    return {name.partition(":")[2] for name in (*image.files, *image.links)}


class TestLayers:
    def test_nothing_of_this_machine_is_in_any(self, image: Packed) -> None:
        traces = {str(ROOT), str(paths.home()), str(Path.home() / ".cache"), socket.gethostname()}
        traces |= {value for name, value in os.environ.items() if "proxy" in name.lower() and "no" not in name.lower()}
        known = file_of(None)
        if known.is_file():
            connection = json.loads(known.read_text())
            traces |= {connection["store_secret_key"], connection["store_endpoint"].rpartition("/")[2]}
        traces = {trace for trace in traces if len(trace) > 5 and trace != "localhost"}
        assert traces
        found = {
            (name, trace)
            for trace in traces
            for name, content in (*image.files.items(), ("config", json.dumps(image.config).encode()))
            if trace.encode() in content
        }
        assert not found

    def test_only_debians_authorities_are_trusted(self, image: Packed) -> None:
        bundles = [content for name, content in image.files.items() if name.endswith("/ca-certificates.crt")]
        packaged = {
            content.strip()
            for name, content in image.files.items()
            if "/usr/share/ca-certificates/" in name and name.endswith(".crt")
        }
        assert bundles
        for bundle in bundles:
            trusted = re.findall(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", bundle, re.DOTALL)
            assert len(trusted) > 100
            assert not [certificate for certificate in trusted if certificate.strip() not in packaged]
        assert not [name for name in names(image) if "/usr/local/share/ca-certificates/" in name]

    def test_no_private_key_is_in_any(self, image: Packed) -> None:
        block = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{200}")
        # libgnutls holds the well-known keys of its own self-test.
        found = [name for name, content in image.files.items() if block.search(content) and ".so" not in name]
        assert not found

    def test_no_tool_that_builds_or_fetches_is_left(self, image: Packed) -> None:
        assert not {name for name in names(image) if "/bin/" in name and name.rpartition("/")[2] in TOOLS}

    def test_a_shell_and_sleep_are_there_for_the_agent_that_waits(self, image: Packed) -> None:
        assert {"/usr/bin/sh", "/usr/bin/sleep"} <= names(image)

    def test_the_code_is_that_of_the_work_tree_and_compiled(self, image: Packed) -> None:
        code = {PACKAGE.split(name)[-1] for name in names(image) if PACKAGE.search(name)}
        sources = {
            str(path.relative_to(ROOT / "operator/componentrun")) for path in IMAGE.files() if path.suffix == ".py"
        }
        sources = {name for name in sources if not name.startswith("../")}
        assert sources <= code
        compiled = {
            name.replace("__pycache__/", "").partition(".cpython")[0] + ".py" for name in code if name.endswith(".pyc")
        }
        assert sources == compiled

    def test_it_stays_small(self, image: Packed) -> None:
        assert image.size < 340 * MIB


class TestLoader:
    def test_it_is_the_other_image_and_one_layer_more(self, image: Packed, loader: Packed) -> None:
        layers, more = image.config["rootfs"]["diff_ids"], loader.config["rootfs"]["diff_ids"]
        assert more[: len(layers)] == layers, "a node that has the one pulls the difference"
        assert len(more) == len(layers) + 1

    def test_only_it_has_the_client_of_catalogs(self, image: Packed, loader: Packed) -> None:
        assert any("/site-packages/pyiceberg/" in name for name in names(loader))
        assert not any("/pyiceberg" in name for name in names(image))

    def test_it_holds_to_the_same(self, image: Packed, loader: Packed) -> None:
        assert loader.config["config"]["User"] == image.config["config"]["User"]
        assert loader.config["config"]["Env"] == image.config["config"]["Env"]
        assert not {name for name in names(loader) if "/bin/" in name and name.rpartition("/")[2] in TOOLS}
        assert loader.size < image.size + 80 * MIB


class TestConfig:
    def test_it_runs_as_an_ordinary_user(self, image: Packed) -> None:
        assert image.config["config"]["User"] == "1000:1000"

    def test_it_writes_nothing_where_it_may_not(self, image: Packed) -> None:
        environment = dict(variable.split("=", 1) for variable in image.config["config"]["Env"])
        assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
        assert environment["HOME"] == "/tmp"
        assert environment["PATH"].startswith("/opt/componentrun/bin:")

    def test_no_setting_of_the_builder_stayed(self, image: Packed) -> None:
        assert not [
            variable for variable in image.config["config"]["Env"] if re.match("(?i).*(proxy|cert|token)", variable)
        ]


class TestTags:
    @pytest.fixture
    def recipe(self, tmp_path: Path) -> Image:
        context = tmp_path / "context"
        (context / "src").mkdir(parents=True)
        (context / "Dockerfile").write_text("FROM scratch\n")
        (context / "src" / "main").write_text("one\n")
        (context / "other").write_text("not an input\n")
        return Image("small", context, ("Dockerfile", "src"))

    def tag(self, recipe: Image, tmp_path: Path, *ingredients: str) -> str:
        folder = tmp_path / f"staged-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return staging.stage(recipe, folder, ingredients)

    def test_the_same_inputs_have_the_same_tag(self, recipe: Image, tmp_path: Path) -> None:
        before = self.tag(recipe, tmp_path)
        os.utime(recipe.context / "src" / "main", (0, 0))
        (recipe.context / "other").write_text("changed\n")
        (recipe.context / "src" / "__pycache__").mkdir()
        (recipe.context / "src" / "__pycache__" / "main.pyc").write_text("compiled")
        (recipe.context / "src" / "main").chmod(0o600)
        assert self.tag(recipe, tmp_path) == before

    def test_whatever_changes_the_image_changes_the_tag(self, recipe: Image, tmp_path: Path) -> None:
        tags = [self.tag(recipe, tmp_path), self.tag(recipe, tmp_path, "another base")]
        (recipe.context / "src" / "main").chmod(0o755)
        tags.append(self.tag(recipe, tmp_path))
        (recipe.context / "src" / "main").write_text("two\n")
        tags.append(self.tag(recipe, tmp_path))
        (recipe.context / "src" / "main").rename(recipe.context / "src" / "start")
        tags.append(self.tag(recipe, tmp_path))
        tags.append(self.tag(dataclasses.replace(recipe, name="other"), tmp_path))
        assert len(set(tags)) == len(tags)

    def test_only_inputs_are_seen_by_the_build(self, recipe: Image, tmp_path: Path) -> None:
        folder = tmp_path / "seen"
        folder.mkdir()
        staging.stage(recipe, folder, ())
        assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == ["Dockerfile", "src", "src/main"]

    def test_an_input_that_is_not_there_is_named(self, recipe: Image, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"image `small`: its input .*nothing does not exist"):
            self.tag(dataclasses.replace(recipe, inputs=("nothing",)), tmp_path)


def test_a_docker_build_sees_the_same_files() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    let_in = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert let_in == {name.partition("/")[0] for name in IMAGE.inputs if name != "Dockerfile"}


@pytest.mark.parametrize("name", sorted(IMAGES))
def test_every_image_starts_from_a_base_that_can_be_chosen_and_ends_as_an_ordinary_user(name: str) -> None:
    text = (IMAGES[name].context / "Dockerfile").read_text()
    assert "ARG BASE=debian:bookworm-slim" in text
    assert "USER 1000:1000" in text
    assert not fnmatch.filter(text.splitlines(), "*:latest*")
    assert "ADD " not in text
