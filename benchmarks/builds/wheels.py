"""Wheels of ten packages that are installed in this environment, so that no package index on the internet is needed.

A wheel is made of the files that pip or uv installed from the original one: same code, same metadata, other zip file.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["PACKAGES", "make_wheels"]

PACKAGES: Final = (
    "annotated-types",
    "certifi",
    "click",
    "idna",
    "iniconfig",
    "packaging",
    "pluggy",
    "prometheus-client",
    "typing-extensions",
    "urllib3",
)
"""Packages in pure Python that need no others; about 2 MB of code."""
_WRITTEN_BY_INSTALLERS: Final = frozenset({"INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json"})


def make_wheels(folder: Path, packages: Sequence[str] = PACKAGES) -> dict[str, Path]:
    """Write a wheel of each package into a folder.

    Returns:
        The wheels by requirement, such as `click==8.5.1`.

    Raises:
        ValueError: a package is not in pure Python, or needs others.
        PackageNotFoundError: a package is not installed.
    """
    return dict(_make_wheel(folder, metadata.distribution(name)) for name in packages)


def _make_wheel(folder: Path, package: metadata.Distribution) -> tuple[str, Path]:
    name, version = package.metadata["Name"], package.version
    needed = [item for item in package.requires or () if "extra ==" not in item]
    if "Root-Is-Purelib: true" not in (package.read_text("WHEEL") or "") or needed:
        raise ValueError(f"package {name} {version}: expected one in pure Python that needs no others, not {needed}")
    distribution = name.replace("-", "_").replace(".", "_")
    files = {_in_wheel(path, distribution, version): path.locate() for path in package.files or () if _is_code(path)}
    wheel = folder / f"{distribution}-{version}-py3-none-any.whl"
    _write(wheel, files, f"{distribution}-{version}.dist-info/RECORD")
    return f"{name}=={version}", wheel


def _is_code(path: PurePosixPath) -> bool:
    """Whether a file is from the wheel, and not from its installation."""
    is_metadata = path.parts[0].endswith(".dist-info")
    return (
        ".." not in path.parts
        and "__pycache__" not in path.parts
        and not (is_metadata and path.name in _WRITTEN_BY_INSTALLERS)
    )


def _in_wheel(path: PurePosixPath, distribution: str, version: str) -> str:
    """Path of a file in the wheel. pip expects the folder of the metadata to be named like the wheel."""
    first, *rest = path.parts
    return "/".join([f"{distribution}-{version}.dist-info" if first.endswith(".dist-info") else first, *rest])


def _write(wheel: Path, files: Mapping[str, object], record: str) -> None:
    lines = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(files.items()):
            content = Path(str(path)).read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(content)}\n")
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo(record), "".join(lines) + f"{record},,\n")
