"""A Debian with Python, built by mmdebstrap: the base of all images if the public base is not available."""

import hashlib
from pathlib import Path
from typing import Final

from dev.cluster import commands, paths
from dev.cluster.host import packages
from dev.cluster.progress import step

_RECIPE: Final = (
    "--variant=apt",
    # Debian's usrmerge would install all of Perl. With folders that are merged from the start, usr-is-merged is enough.
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    "--include=usr-is-merged,python3,ca-certificates",
    '--aptopt=APT::Install-Recommends "false"',
    '--aptopt=Acquire::Languages "none"',
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/info/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "bookworm",
)


def key() -> str:
    """Hash of the recipe. A changed recipe results in a new base."""
    return hashlib.sha256("\0".join(_RECIPE).encode()).hexdigest()[:12]


def is_made() -> bool:
    """Whether the base exists."""
    return _file().is_file()


def archive() -> Path:
    """The base as a tar file in its own folder. It is built if it does not exist (about a minute)."""
    file = _file()
    folder = file.parent
    if file.is_file():
        return file
    packages.install(["mmdebstrap"], why="the images' Debian base is made with it")
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "part.tar"
    with step("making the images' base: a Debian with Python (mmdebstrap)", work="base image"):
        part.unlink(missing_ok=True)
        commands.run(
            ["mmdebstrap", "--quiet", *_RECIPE, part],
            timeout=1200,
            hint="does `apt-get update` work on this machine?",
        )
        part.replace(file)
    return file


def _file() -> Path:
    return paths.home() / "images" / f"base-{key()}" / "base.tar"
