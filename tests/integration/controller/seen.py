"""Every pod that there ever was in a namespace."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from componentrun.api.names import RUN_LABEL

if TYPE_CHECKING:
    from e2e.tenant import Tenant


class PodsSeen:
    """Watches from `with` on."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._notes = tempfile.NamedTemporaryFile("w+")  # noqa: SIM115 - open for as long as it is watched

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
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.terminate()
        self._watch.wait()
        self._notes.close()

    def of(self, run: str) -> set[str]:
        """Uids of the run's pods.

        Raises:
            AssertionError: nobody watched any more.
        """
        assert self._watch.poll() is None, "the watch ended"
        lines = Path(self._notes.name).read_text(encoding="utf-8").splitlines(keepends=True)
        seen = [json.loads(line) for line in lines if line.endswith("\n") and line.strip()]
        return {item["uid"] for item in seen if (item.get("labels") or {}).get(RUN_LABEL) == run}
