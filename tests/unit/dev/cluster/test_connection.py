"""Which cluster is used, and how it is described to others."""

from dataclasses import replace
from pathlib import Path

import pytest

from dev.cluster import connection, paths, stranger
from dev.cluster.errors import ClusterError
from dev.cluster.stores import minio as store
from dev.cluster.stores import seaweedfs as lake

LAKE = lake.Lake(
    endpoint="http://192.0.2.2:9010",
    access_key="operator",
    secret_key="secret",
    bucket="componentrun",
    region="us-east-1",
    catalog_uri="http://192.0.2.3:9011",
    catalog_warehouse="s3://lake/",
    catalog_client_id="client",
    catalog_client_secret="other secret",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def ours(home: Path) -> connection.Connection:
    return connection.Connection(
        kubeconfig=paths.own_kubeconfig(),
        registry="192.0.2.2:5000",
        image_load_command=None,
        bin_dir=home / "links",
        logs=home / "logs",
        own=True,
        node_name="node1",
        **connection.reaching(LAKE),
    )


def touch(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("")
    return file


def test_what_was_saved_is_loaded_and_is_for_its_owner_only(ours: connection.Connection) -> None:
    connection.save(ours)
    assert connection.load({}) == ours
    assert connection.file_of(None).stat().st_mode & 0o777 == 0o600


def test_what_reaches_store_and_catalog_is_saved_and_loaded(ours: connection.Connection) -> None:
    connection.save(ours)
    assert connection.load({}).lake == LAKE


@pytest.mark.usefixtures("home")
def test_without_a_cluster_the_error_says_what_to_run() -> None:
    with pytest.raises(ClusterError, match=r"our own cluster(.|\n)*dev.cluster up"):
        connection.load({})


@pytest.mark.usefixtures("home")
def test_our_own_kubeconfig_is_no_stranger() -> None:
    own = touch(paths.own_kubeconfig())
    assert connection.stranger_kubeconfig({"KUBECONFIG": str(own)}) is None
    assert connection.stranger_kubeconfig({}) is None


def test_a_copy_of_our_kubeconfig_is_a_strangers(ours: connection.Connection, tmp_path: Path) -> None:
    copy = touch(tmp_path / "copy")
    connection.save(ours)
    with pytest.raises(ClusterError, match="nothing is known about the cluster of"):
        connection.load({"KUBECONFIG": str(copy)})
    theirs = replace(ours, kubeconfig=copy, own=False)
    connection.save(theirs)
    assert connection.load({"KUBECONFIG": str(copy)}) == theirs
    assert connection.load({}) == ours


def test_the_strangers_cluster_of_yesterday_is_not_taken_for_todays(
    ours: connection.Connection, tmp_path: Path
) -> None:
    connection.save(replace(ours, kubeconfig=touch(tmp_path / "yesterday"), own=False))
    with pytest.raises(ClusterError, match="yesterday, KUBECONFIG names"):
        connection.load({"KUBECONFIG": str(touch(tmp_path / "today"))})


@pytest.mark.usefixtures("home")
def test_several_kubeconfigs_and_absent_ones_are_refused() -> None:
    with pytest.raises(ClusterError, match="several files"):
        connection.stranger_kubeconfig({"KUBECONFIG": "/a:/b"})
    with pytest.raises(ClusterError, match="no such file"):
        connection.stranger_kubeconfig({"KUBECONFIG": "/nowhere/kubeconfig"})


@pytest.mark.usefixtures("home")
def test_a_file_of_another_version_is_refused() -> None:
    with pytest.raises(ClusterError, match="another version"):
        connection.parse({"kubeconfig": "x"}, Path("connection.json"))


def test_the_shell_gets_kubeconfig_and_path(ours: connection.Connection) -> None:
    text = connection.exports(ours, {})
    assert text.splitlines() == [f"export KUBECONFIG={ours.kubeconfig}", f"export PATH={ours.bin_dir}:$PATH"]


def test_behind_a_proxy_the_store_is_reached_directly(ours: connection.Connection) -> None:
    behind = {"HTTPS_PROXY": "http://proxy"}
    assert "export NO_PROXY=192.0.2.2,192.0.2.3,127.0.0.1,localhost" in connection.exports(ours, behind)
    theirs = replace(ours, store_endpoint="https://s3.example.com")
    hosts = "s3.example.com,192.0.2.3,127.0.0.1,localhost"
    assert f"export NO_PROXY={hosts}" in connection.exports(theirs, behind)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "nothing says how images get there"),
        ({"IMAGE_REGISTRY": "http://192.0.2.2:5000"}, "not a URL"),
        ({"IMAGE_LOAD_COMMAND": "kind load"}, r"no \{archive\}"),
    ],
)
def test_a_strangers_cluster_needs_a_way_for_images(environment: dict[str, str], message: str) -> None:
    with pytest.raises(ClusterError, match=message):
        stranger.images(environment)


def test_registry_and_load_command_are_read() -> None:
    found = stranger.images({"IMAGE_REGISTRY": "r:5000/x/", "IMAGE_LOAD_COMMAND": "kind load image-archive {archive}"})
    assert found == stranger.Images("r:5000/x", "kind load image-archive {archive}")


STORE = {
    "STORE_ENDPOINT": "https://s3.example.com/",
    "STORE_ACCESS_KEY": "a",
    "STORE_SECRET_KEY": "s",
    "STORE_BUCKET": "b",
    "CATALOG_URI": "https://catalog.example.com/api/",
    "CATALOG_WAREHOUSE": "w",
}


@pytest.mark.parametrize("missing", ["STORE_SECRET_KEY", "CATALOG_WAREHOUSE"])
def test_the_strangers_store_is_all_or_nothing(missing: str) -> None:
    assert stranger.given_store({}) is None
    with pytest.raises(ClusterError, match=f"{missing} missing"):
        stranger.given_store({name: value for name, value in STORE.items() if name != missing})


@pytest.mark.parametrize("variable", ["STORE_ENDPOINT", "CATALOG_URI"])
def test_what_is_no_url_is_named(variable: str) -> None:
    with pytest.raises(ClusterError, match=f"{variable} is `s3.example.com`, expected a URL"):
        stranger.given_store(STORE | {variable: "s3.example.com"})


def test_the_strangers_store_is_described_and_the_catalogs_client_defaults_to_its_keys() -> None:
    found = stranger.given_store(STORE)
    assert found is not None
    assert (found.endpoint, found.bucket, found.region) == ("https://s3.example.com", "b", "us-east-1")
    assert (found.catalog_uri, found.catalog_warehouse) == ("https://catalog.example.com/api", "w")
    assert (found.catalog_client_id, found.catalog_client_secret) == ("a", "s")
    own = {"CATALOG_CLIENT_ID": "c", "CATALOG_CLIENT_SECRET": "cs", "STORE_REGION": "eu"}
    found = stranger.given_store(STORE | own)
    assert found is not None
    assert (found.catalog_client_id, found.catalog_client_secret, found.region) == ("c", "cs", "eu")


@pytest.mark.usefixtures("home")
def test_a_store_that_is_not_up_is_an_error() -> None:
    with pytest.raises(ClusterError, match="isn't running"):
        store.load()


def test_the_operator_may_use_its_buckets_only() -> None:
    (statement,) = store.policy("b")["Statement"]
    assert statement["Resource"] == [f"arn:aws:s3:::{name}" for name in ("b", "b/*", "b-*", "b-*/*")]
