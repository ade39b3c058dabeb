"""All pods that ever existed in a namespace."""

from __future__ import annotations

import json
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from componentrun.api.names import RUN_LABEL
from dev.cluster import waiting

if TYPE_CHECKING:
    from e2e.tenant import Tenant

_NOTHING = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
MARK = {
    "schedulingGates": [{"name": "componentrun.dev/mark"}],
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [{"name": "c", "image": "none", "securityContext": _NOTHING}],
}
"""A pod that no scheduler and no kubelet processes. The watch reports all earlier pods before this one."""


class PodsSeen:
    """Watches pods within the block."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._notes = tempfile.NamedTemporaryFile("w+")  # noqa: SIM115 - open as long as the watch

    def __enter__(self) -> Self:
        connection = self._tenant.connection
        self._watch = subprocess.Popen(
            [
                str(connection.bin_dir / "kubectl"), "--kubeconfig", str(connection.kubeconfig), "--namespace",
                self._tenant.namespace, "get", "pods", "--watch", "--output-watch-events",
                "--output=jsonpath={.object.metadata}{'\\n'}",
            ],
            stdout=self._notes,
        )  # fmt: skip
        self._up_to_now()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.terminate()
        self._watch.wait()
        self._notes.close()

    def of(self, run: str) -> set[str]:
        """Uids of the run's pods until now.

        Raises:
            AssertionError: the watch has ended.
        """
        return {item["uid"] for item in self._up_to_now() if (item.get("labels") or {}).get(RUN_LABEL) == run}

    def _up_to_now(self) -> list[dict[str, Any]]:
        """All pods that the watch has reported until now."""
        core, namespace, mark = self._tenant.core, self._tenant.namespace, f"mark-{uuid.uuid4().hex[:8]}"
        core.create_namespaced_pod(namespace, {"metadata": {"name": mark}, "spec": MARK})
        try:
            waiting.until(lambda: self._is_behind(mark), what="the watch of pods", timeout=120)
        finally:
            core.delete_namespaced_pod(mark, namespace)
        return self._told()

    def _is_behind(self, mark: str) -> str | None:
        return None if any(item["name"] == mark for item in self._told()) else f"{mark} was not told of"

    def _told(self) -> list[dict[str, Any]]:
        assert self._watch.poll() is None, "the watch ended"
        lines = Path(self._notes.name).read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n") and line.strip()]
