"""Runs printed by `convert`, and the largest runs that `submit` sends, on the real API server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.client.request.parameters import MAX_RUN_BYTES

if TYPE_CHECKING:
    from tests.integration.cli.conftest import Place

pytestmark = [pytest.mark.cluster, pytest.mark.store]
EXPORTS = Path(__file__).parents[2] / "unit" / "cli" / "data" / "exports"


@pytest.mark.parametrize("name", sorted(path.stem for path in EXPORTS.glob("*.json")))
def test_the_api_server_takes_them(place: Place, tmp_path: Path, name: str) -> None:
    component = [] if name == "components" else ["--component", name]
    command = [*place.command("convert", str(EXPORTS / f"{name}.json"), *component)[:-2]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=place.environment())
    assert done.returncode in {0, 3}, done.stderr
    (tmp_path / "runs.yaml").write_text(done.stdout)
    told = place.kubectl("apply", "--dry-run=server", "-n", place.namespace, "-f", str(tmp_path / "runs.yaml"))
    assert len(told.splitlines()) == done.stdout.count("kind: ComponentRun")


def manifest(name: str, configuration: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "componentrun.dev/v1alpha1",
        "kind": "ComponentRun",
        "metadata": {"name": name},
        "spec": {"image": "a", "suspend": True, "configuration": configuration},
    }


def test_the_largest_run_that_is_sent_is_taken_and_can_get_a_status(place: Place) -> None:
    run = manifest("largest", {"parametersText": json.dumps({"a": "é" * 440_000}, ensure_ascii=False)})
    left = MAX_RUN_BYTES - len(json.dumps(run, ensure_ascii=False).encode())
    run["spec"]["configuration"]["imageParameters"] = {"b": "x" * (left - 30)}
    size = len(json.dumps(run, ensure_ascii=False).encode())
    assert MAX_RUN_BYTES - 30 < size <= MAX_RUN_BYTES
    place.kubectl("create", "-n", place.namespace, "-f", "-", document=run)
    status = json.dumps({"status": {"message": "m" * 30_000}})
    place.kubectl(
        "patch", "crun", "largest", "-n", place.namespace, "--subresource=status", "--type=merge", "-p", status
    )
    place.kubectl("delete", "crun", "largest", "-n", place.namespace)


@pytest.mark.parametrize("size", [1_600_000, 2_500_000, 3_500_000])
def test_what_the_api_server_says_to_larger_ones_is_understood(place: Place, tmp_path: Path, size: int) -> None:
    """Sent with the command's own client, bypassing its size check."""
    code = (
        "import json, sys\n"
        "from componentrun.process.kubernetes.resources import RUNS\n"
        "from componentrun.cli.errors import BadRequestError, advice_of\n"
        "from componentrun.client.kubernetes.client import connect\n"
        "try:\n"
        "    connect(None, sys.argv[1]).create(RUNS, json.load(open(sys.argv[2])))\n"
        "except BadRequestError as error:\n"
        "    print(error.message, advice_of(error))\n"
    )
    (tmp_path / "run.json").write_text(json.dumps(manifest("large", {"imageParameters": {"b": "x" * size}})))
    command = [place.command()[0], "-c", code, place.namespace, str(tmp_path / "run.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=place.environment())
    assert "it is larger than Kubernetes stores (etcd takes 1.5 MiB)" in done.stdout
    assert "keep them in a ConfigMap" in done.stdout
