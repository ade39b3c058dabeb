"""Reads kubeconfig files and merges them as kubectl does.

`KUBECONFIG` may name several files. The first file that has a cluster, user or context of a name, or that sets the
current context, wins; entries of the same name are not mixed. Files that do not exist are skipped.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from componentrun.process.kubernetes.access.errors import AccessError, NoClusterError
from componentrun.process.kubernetes.access.section import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Kubeconfig", "kubeconfig_files", "read_kubeconfig"]

_DEFAULT: Final = "~/.kube/config"
_VARIABLE: Final = "KUBECONFIG"


@dataclass(slots=True)
class Kubeconfig:
    """Several files, merged."""

    files: tuple[Path, ...]
    current_context: str = ""
    contexts: dict[str, Section] = field(default_factory=dict)
    clusters: dict[str, Section] = field(default_factory=dict)
    users: dict[str, Section] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The files, for messages."""
        return "kubeconfig " + ", ".join(f"`{file}`" for file in self.files)


def kubeconfig_files() -> list[Path]:
    """The files that are used: those of `KUBECONFIG`, else `~/.kube/config`; only those that exist."""
    named = [part for part in os.environ.get(_VARIABLE, "").split(os.pathsep) if part]
    paths = [Path(part).expanduser() for part in named or [_DEFAULT]]
    return [path for path in paths if path.exists()]


def read_kubeconfig(files: Sequence[Path]) -> Kubeconfig:
    """Read and merge files.

    Raises:
        NoClusterError: there are no files.
        AccessError: a file can't be read, or is not a kubeconfig.
    """
    if not files:
        named = os.environ.get(_VARIABLE)
        looked = f"`{_VARIABLE}` names `{named}`, which does not exist" if named else f"there is no `{_DEFAULT}`"
        raise NoClusterError(
            f"no kubeconfig: {looked}",
            advice=f"Set {_VARIABLE} to the file that your cluster's administrator gave you.",
        )
    merged = Kubeconfig(tuple(files))
    for file in files:
        document = Section(_document(file), file)
        merged.current_context = merged.current_context or document.text("current-context")
        for entries, plural, kind in (
            (merged.contexts, "contexts", "context"),
            (merged.clusters, "clusters", "cluster"),
            (merged.users, "users", "user"),
        ):
            for entry in document.sections(plural):
                name = entry.required("name", f"the name of the {kind}")
                where = f"{kind} `{name}`"
                entries.setdefault(name, entry.section(kind, where) or Section({}, file, where))
    return merged


def _document(file: Path) -> dict[str, Any]:
    """The content of one file."""
    import yaml  # noqa: PLC0415 - inside a pod nothing is read from a kubeconfig

    try:
        document = yaml.load(file.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except OSError as error:
        raise AccessError(f"kubeconfig `{file}`: {error.strerror}") from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "it can't be read"
        raise AccessError(f"kubeconfig `{file}`{line}: it is not YAML: {problem}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise AccessError(f"kubeconfig `{file}`: found a {type(document).__name__}; expected a mapping")
    return document
