"""Configurations and manifests on top of a parent image."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from componentrun.core.builds.errors import BuildError, BuildProblem
from componentrun.core.builds.image import (
    MOST_LAYERS,
    Changes,
    Image,
    NewLayer,
    ParentImage,
    choose_platform,
    extend,
    read_parent,
)
from componentrun.core.builds.layer import Written

OCI = "application/vnd.oci.image.manifest.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
CODE = NewLayer(Written("sha256:" + "c" * 64, 3, "sha256:" + "d" * 64), "componentrun: code")
CHANGES = Changes(("python3", "/code/main.py"), "/code", (("PATH2", "/x"), ("A", "2")), (("revision", "abc"),))
CONFIG: dict[str, Any] = {
    "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z", "docker_version": "1", "container": "x",
    "container_config": {"Env": ["SECRET=x"]},
    "config": {
        "Env": ["PATH=/bin:/usr/bin", "A=1", "EQUALS=a=b"], "Cmd": ["bash"], "Entrypoint": ["tini"], "User": "app",
        "Labels": {"a": "b"}, "OnBuild": ["RUN x"], "WorkingDir": "/", "Hostname": "abc",
    },
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]},
    "history": [{"created_by": "ADD"}, {"created_by": "ENV", "empty_layer": True}],
}  # fmt: skip


def raw_parent(kind: str = OCI, layers: int = 1, **changes: Any) -> tuple[bytes, bytes]:
    config = json.dumps(CONFIG | changes).encode()
    descriptors = [{"mediaType": "layer", "digest": f"sha256:{number:064}", "size": 1} for number in range(layers)]
    manifest = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": {
            "mediaType": "config",
            "digest": f"sha256:{hashlib.sha256(config).hexdigest()}",
            "size": len(config),
        },
        "layers": descriptors,
        "annotations": {"a": "b"},
    }
    return json.dumps(manifest).encode(), config


def parent(kind: str = OCI, layers: int = 1, **changes: Any) -> ParentImage:
    changes = {"rootfs": {"type": "layers", "diff_ids": [f"sha256:{number:064}" for number in range(layers)]}} | changes
    return read_parent("example.com/python@sha256:1", *raw_parent(kind, layers, **changes), kind, "linux/amd64")


def config_of(image: Image) -> dict[str, Any]:
    assert image.config_digest == f"sha256:{hashlib.sha256(image.config).hexdigest()}"
    found: dict[str, Any] = json.loads(image.config)
    return found


@pytest.mark.parametrize(
    ("kind", "config_type", "layer_type"),
    [
        (OCI, "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip"),
        (
            DOCKER,
            "application/vnd.docker.container.image.v1+json",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
        ),
    ],
)
def test_an_image_has_the_media_types_of_its_parent(kind: str, config_type: str, layer_type: str) -> None:
    image = extend(parent(kind), [CODE], CHANGES)
    manifest = json.loads(image.manifest)
    assert (image.media_type, manifest["mediaType"], manifest["config"]["mediaType"]) == (kind, kind, config_type)
    assert manifest["layers"] == [
        {"mediaType": "layer", "digest": f"sha256:{0:064}", "size": 1},
        {"mediaType": layer_type, "digest": CODE.written.digest, "size": 3},
    ]
    assert manifest["config"]["digest"] == image.config_digest
    assert image.digest == f"sha256:{hashlib.sha256(image.manifest).hexdigest()}"


def test_the_configuration_is_the_parents_with_the_changes() -> None:
    config = config_of(extend(parent(), [CODE], CHANGES))
    assert config["rootfs"]["diff_ids"] == [f"sha256:{0:064}", CODE.written.diff_id]
    assert config["config"] == {
        "Env": ["PATH=/bin:/usr/bin", "A=2", "EQUALS=a=b", "PATH2=/x"],
        "Entrypoint": ["python3", "/code/main.py"],
        "User": "app",
        "Labels": {"a": "b", "revision": "abc"},
        "WorkingDir": "/code",
    }
    assert (config["created"], config["os"], config["architecture"]) == ("1970-01-01T00:00:00Z", "linux", "amd64")


def test_traces_of_other_builds_are_left_out() -> None:
    text = extend(parent(), [CODE], CHANGES).config.decode()
    assert "SECRET" not in text
    assert not {"docker_version", "container", "container_config"} & json.loads(text).keys()


def test_the_history_names_the_new_layer_but_no_command() -> None:
    history = config_of(extend(parent(), [CODE], CHANGES))["history"]
    assert history[-1] == {"created": "1970-01-01T00:00:00Z", "created_by": "componentrun: code"}
    assert len([item for item in history if not item.get("empty_layer")]) == 2


def test_a_history_that_does_not_fit_its_layers_is_left_out() -> None:
    assert "history" not in config_of(extend(parent(layers=2), [CODE], CHANGES))


def test_the_same_input_gives_the_same_image_in_any_order() -> None:
    others = Changes(CHANGES.entrypoint, "/code", CHANGES.environment[::-1], CHANGES.labels)
    assert extend(parent(), [CODE], CHANGES) == extend(parent(), [CODE], others)


def test_too_many_layers_are_refused() -> None:
    assert extend(parent(layers=MOST_LAYERS - 1), [CODE], CHANGES).digest
    with pytest.raises(BuildError, match="127 layers; with those of the build the image would have 128") as caught:
        extend(parent(layers=MOST_LAYERS), [CODE], CHANGES)
    assert caught.value.problem is BuildProblem.TOO_MANY_LAYERS


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"architecture": "arm64"}, "there for linux/arm64, and the build needs linux/amd64"),
        ({"os": "windows"}, "there for windows/amd64"),
        ({"rootfs": {"diff_ids": []}}, "do not fit together"),
        ({"rootfs": None}, "not that of an image"),
        ({"architecture": None, "os": None, "rootfs": 3}, "not that of an image"),
    ],
)
def test_what_is_no_image_for_the_platform_is_no_parent(change: dict[str, Any], found: str) -> None:
    with pytest.raises(BuildError, match=found) as caught:
        parent(**change)
    assert caught.value.problem is BuildProblem.UNUSABLE_PARENT


@pytest.mark.parametrize(
    "change",
    [
        {"config": "x"},
        {"config": {"Env": 5}},
        {"config": {"Env": "PATH=/bin"}},
        {"config": {"Env": [1]}},
        {"config": {"Env": {"PATH": "/bin"}}},
        {"config": {"Labels": ["a"]}},
        {"config": {"Labels": {"a": 1}}},
        {"config": {"User": "\ud800"}},
        {"history": 5},
        {"history": [1]},
        {"history": {"created_by": "x"}},
        {"rootfs": {"diff_ids": "x"}},
        {"rootfs": {"diff_ids": [1]}},
    ],
    ids=str,
)
def test_a_configuration_with_other_types_is_no_parents(change: dict[str, Any]) -> None:
    with pytest.raises(BuildError, match="not that of an image") as caught:
        parent(**change)
    assert caught.value.problem is BuildProblem.UNUSABLE_PARENT


@pytest.mark.parametrize("change", [{"config": None}, {"config": {"Env": None, "Labels": None}}, {"history": None}])
def test_parts_of_a_configuration_may_be_null(change: dict[str, Any]) -> None:
    assert config_of(extend(parent(**change), [CODE], CHANGES))["config"]["Labels"]["revision"] == "abc"


@pytest.mark.parametrize("change", [{"digest": None}, {"digest": 5}, {"size": "x"}, {"size": -1}, {"size": True}])
def test_a_layer_needs_a_digest_and_a_size(change: dict[str, Any]) -> None:
    manifest, config = raw_parent()
    content = json.loads(manifest)
    content["layers"][0] |= change
    with pytest.raises(BuildError, match="not that of an image"):
        read_parent("image", json.dumps(content).encode(), config, OCI, "linux/amd64")


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{}", b'{"layers": 3}', b"\xff", b"[" * 100_000])
def test_a_broken_manifest_is_refused(manifest: bytes) -> None:
    with pytest.raises(BuildError) as caught:
        read_parent("image", manifest, raw_parent()[1], OCI, "linux/amd64")
    assert caught.value.problem is BuildProblem.UNUSABLE_PARENT


def test_an_artifact_that_is_no_image_is_refused() -> None:
    with pytest.raises(BuildError, match="do not fit together"):
        read_parent("image", *raw_parent("application/vnd.example"), OCI, "linux/amd64")


def test_layers_from_elsewhere_are_refused() -> None:
    manifest, config = raw_parent()
    content = json.loads(manifest)
    content["layers"][0]["urls"] = ["https://example.com/windows"]
    with pytest.raises(BuildError, match="may not be stored in other registries"):
        read_parent("image", json.dumps(content).encode(), config, OCI, "linux/amd64")


def test_an_index_has_a_manifest_for_the_platform() -> None:
    children = [("unknown/unknown", "a"), ("linux/arm64", "b"), ("linux/amd64", "c"), ("linux/amd64", "d")]
    assert choose_platform(children, "linux/amd64", "image") == "c"
    with pytest.raises(BuildError, match="is there for linux/amd64, linux/arm64, and the build needs linux/s390x"):
        choose_platform(children, "linux/s390x", "image")
