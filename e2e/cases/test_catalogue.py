"""A catalogue as a user applies it, against the real cluster."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from componentrun.api.names import CATALOGUE_LABEL
from componentrun.cli.app import app
from dev.images import ensure

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    from e2e.tenant import Tenant

SMALL = {"limits": {"cpu": "200m", "memory": "128Mi"}, "requests": {"cpu": "20m"}}
TEXT = "Grüße 𝄞, a tab\tand \u0085 \u2028 \u007f: characters that JSON and YAML see differently"
COUNT = 200
INDEX = [
    {
        "id": f"acme.ex-{i}",
        "type": "extractor",
        "name": f"Weather {i}",
        "longDescription": TEXT,
        "flags": ["genericDockerUI"],
        "data": {"definition": {"type": "quayio", "uri": "acme/weather", "tag": "1"}, "memory": "512m"},
        "configurationSchema": {"type": "object", "properties": {"test": {"type": "button"}, "a": {"enum": []}}},
    }
    for i in range(20)
]


def component(name: str, **spec: Any) -> dict[str, Any]:
    fields = {"image": "registry.example.com/weather", "type": "extractor", "title": "Weather"}
    return {
        "apiVersion": "componentrun.dev/v1alpha1",
        "kind": "Component",
        "metadata": {"name": name},
        "spec": {key: value for key, value in (fields | spec).items() if value is not None},
    }


def put(folder: Path, *manifests: dict[str, Any]) -> None:
    for manifest in manifests:
        (folder / f"{manifest['metadata']['name']}.json").write_text(json.dumps(manifest))


def sync(tenant: Tenant, source: Path, *flags: str) -> CompletedProcess[str]:
    return tenant.cli("catalogue", "sync", str(source), "--name", "sales", *flags)


def in_cluster(tenant: Tenant) -> dict[str, dict[str, Any]]:
    items = json.loads(tenant.kubectl("get", "components", "-o", "json").stdout)["items"]
    return {item["metadata"]["name"]: item for item in items}


def test_two_hundred_components_are_applied_once_and_run_by_name(
    tenant: Tenant, components: str, tmp_path: Path
) -> None:
    image, _, tag = components.rpartition(":")
    put(tmp_path, *(component(f"acme.ex-{i}", description=TEXT) for i in range(COUNT - 1)))
    put(tmp_path, component("acme.ex-real", image=image, tag=tag, args=["true"], resources=SMALL))
    first = sync(tenant, tmp_path)
    assert first.returncode == 0, first.stderr
    assert f"{COUNT} added" in first.stderr
    before = {name: item["metadata"]["generation"] for name, item in in_cluster(tenant).items()}
    second = sync(tenant, tmp_path)
    assert (second.returncode, second.stdout) == (0, ""), second.stdout + second.stderr
    assert f"0 added, 0 changed, 0 deleted, {COUNT} unchanged" in second.stderr
    assert {name: item["metadata"]["generation"] for name, item in in_cluster(tenant).items()} == before
    listed = tenant.cli("catalogue", "list", "--catalogue", "sales", "-o", "name").stdout.split()
    assert len(listed) == COUNT
    run = tenant.cli("submit", "--component", "acme.ex-real", "--timeout", "2m", "--wait")
    assert run.returncode == 0, run.stderr


def test_texts_survive_the_way_to_the_cluster(tenant: Tenant, tmp_path: Path) -> None:
    parameters = {TEXT: [TEXT, None, 1.5, 2**53, 1.0]}
    put(tmp_path, component("acme.ex-text", description=TEXT, imageParameters=parameters))
    assert sync(tenant, tmp_path).returncode == 0
    spec = in_cluster(tenant)["acme.ex-text"]["spec"]
    assert (spec["description"], spec["imageParameters"]) == (TEXT, parameters)
    assert "1 unchanged" in sync(tenant, tmp_path).stderr


def test_changes_are_shown_applied_and_pruned_and_others_stay(tenant: Tenant, tmp_path: Path) -> None:
    tenant.apply("Component", "theirs", {"image": "registry.example.com/theirs"})
    put(tmp_path, component("acme.ex-a", tag="1"), component("acme.ex-b"))
    assert sync(tenant, tmp_path).returncode == 0
    change = '{"spec": {"timeout": "5m", "title": "Changed by somebody"}}'
    tenant.kubectl("patch", "component", "acme.ex-a", "--type=merge", "-p", change)
    put(tmp_path, component("acme.ex-a", tag="2", title="New"))
    (tmp_path / "acme.ex-b.json").unlink()
    shown = sync(tenant, tmp_path, "--dry-run").stdout
    assert '    spec.title: "Changed by somebody" -> "New"\n' in shown
    assert "- Component acme.ex-b" in shown
    assert set(in_cluster(tenant)) == {"theirs", "acme.ex-a", "acme.ex-b"}
    done = sync(tenant, tmp_path, "--yes")
    assert done.returncode == 0, done.stderr
    found = in_cluster(tenant)
    assert set(found) == {"theirs", "acme.ex-a"}
    spec = found["acme.ex-a"]["spec"]
    assert (spec["title"], spec["tag"], spec["timeout"]) == ("New", "2", "5m")
    assert "0 added, 0 changed" in sync(tenant, tmp_path).stderr


def test_a_field_that_the_catalogue_dropped_is_removed(tenant: Tenant, tmp_path: Path) -> None:
    put(tmp_path, component("acme.ex-a", timeout="5m"))
    assert sync(tenant, tmp_path).returncode == 0
    put(tmp_path, component("acme.ex-a"))
    assert sync(tenant, tmp_path).returncode == 0
    assert "timeout" not in in_cluster(tenant)["acme.ex-a"]["spec"]


def test_a_promoted_channel_gets_back_what_the_catalogue_says(tenant: Tenant, tmp_path: Path) -> None:
    """A channel is applied as a whole: with a tag and a digest, the API server would refuse it."""
    released = {"name": "release", "tag": "1.0"}
    put(tmp_path, component("acme.ex-a", channels=[released, {"name": "master", "tag": "main"}]))
    assert sync(tenant, tmp_path).returncode == 0
    promoted = {"name": "release", "digest": f"sha256:{'1' * 64}"}
    for channels in ([promoted, {"name": "master", "tag": "main"}], [promoted]):
        patch = json.dumps({"spec": {"channels": channels}})
        tenant.kubectl("patch", "component", "acme.ex-a", "--type=merge", "-p", patch)
        assert "sha256:1111" in sync(tenant, tmp_path, "--dry-run").stdout
        done = sync(tenant, tmp_path)
        assert done.returncode == 0, done.stderr
        found = in_cluster(tenant)["acme.ex-a"]["spec"]["channels"]
        assert {channel["name"]: channel.get("digest", channel.get("tag")) for channel in found} == {
            "release": "1.0", "master": "main",
        }  # fmt: skip


@pytest.mark.parametrize("owner", ["hr", ""])
def test_what_belongs_to_others_is_not_changed(tenant: Tenant, tmp_path: Path, owner: str) -> None:
    put(tmp_path, component("acme.ex-a", title="Ours"))
    tenant.apply("Component", "acme.ex-a", {"image": "registry.example.com/theirs"})
    if owner:
        tenant.kubectl("label", "component", "acme.ex-a", f"{CATALOGUE_LABEL}={owner}")
    assert sync(tenant, tmp_path).returncode == 1
    assert in_cluster(tenant)["acme.ex-a"]["spec"]["image"] == "registry.example.com/theirs"
    assert sync(tenant, tmp_path, "--adopt").returncode == 0
    assert in_cluster(tenant)["acme.ex-a"]["spec"]["title"] == "Ours"


def test_a_component_that_the_api_server_refuses_is_refused_before_by_lint(tenant: Tenant, tmp_path: Path) -> None:
    put(tmp_path, component("acme.ex-a", timeot="5m"))
    result = sync(tenant, tmp_path)
    assert (result.returncode, "there is no field `spec.timeot`" in result.stderr) == (1, True)
    assert in_cluster(tenant) == {}


def test_a_public_index_is_imported_applied_and_compared(tenant: Tenant, tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text(json.dumps(INDEX))
    folder, bundle = tmp_path / "sales", tmp_path / "sales.tgz"
    imported = CliRunner().invoke(app, ["catalogue", "import", str(tmp_path / "index.json"), "-o", str(folder)])
    assert imported.exit_code == 0, imported.output
    built = CliRunner().invoke(app, ["catalogue", "build", str(folder), "-o", str(bundle)])
    assert built.exit_code == 0, built.output
    done = sync(tenant, bundle)
    assert done.returncode == 0, done.stderr
    same = tenant.cli("catalogue", "diff", "cluster", str(folder), "--exit-code")
    assert (same.returncode, same.stdout) == (0, ""), same.stdout
    assert "20 unchanged" in sync(tenant, folder).stderr


def test_the_recipe_of_a_cron_job_applies_a_folder_that_a_volume_brings(tenant: Tenant, tmp_path: Path) -> None:
    """As in the documentation, except for the image, and for a ConfigMap in place of a registry."""
    image = ensure(tenant.connection, ["componentrun"])["componentrun"]
    put(tmp_path, component("acme.ex-a"))
    (tmp_path / "catalogue.yaml").write_text("name: sales\n")
    tenant.kubectl("create", "configmap", "catalogue", f"--from-file={tmp_path}")
    *others, cron_job = recipe("kind: CronJob")
    pod = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    source = next(word for word in container["command"] if word.startswith("oci://"))
    container["command"][container["command"].index(source)] = "/catalogue"
    container |= {"image": image, "volumeMounts": [{"name": "catalogue", "mountPath": "/catalogue"}]}
    pod["volumes"] = [{"name": "catalogue", "configMap": {"name": "catalogue"}}]
    tenant.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([*others, cron_job]))
    tenant.kubectl("create", "job", "now", "--from=cronjob/catalogue-sales")
    tenant.kubectl("wait", "--for=condition=Complete", "job/now", "--timeout=120s")
    log = tenant.kubectl("logs", "job/now").stdout
    assert "catalogue `sales`: 1 added, 0 changed, 0 deleted, 0 unchanged" in log
    assert in_cluster(tenant)["acme.ex-a"]["metadata"]["labels"] == {CATALOGUE_LABEL: "sales"}


def test_a_bundle_can_be_unpacked_and_applied_without_this_project(tenant: Tenant, tmp_path: Path) -> None:
    put(tmp_path, component("acme.ex-a", description=TEXT), component("acme.ex-b"))
    bundle, unpacked = tmp_path / "sales.tgz", tmp_path / "unpacked"
    built = CliRunner().invoke(app, ["catalogue", "build", str(tmp_path), "-o", str(bundle)])
    assert built.exit_code == 0, built.output
    with tarfile.open(bundle) as archive:
        archive.extractall(unpacked, filter="data")
    # Not `--server-side`: kubectl then sends U+007F as it is, and the API server refuses it as YAML.
    tenant.kubectl("apply", "--recursive", "-f", str(unpacked))
    assert set(in_cluster(tenant)) == {"acme.ex-a", "acme.ex-b"}
    assert in_cluster(tenant)["acme.ex-a"]["spec"]["description"] == TEXT


def recipe(having: str) -> list[dict[str, Any]]:
    """The documents of the block in docs/catalogue.md that has this line."""
    text = (Path(__file__).parents[2] / "docs" / "catalogue.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return list(yaml.safe_load_all(next(block for block in blocks if having in block)))
