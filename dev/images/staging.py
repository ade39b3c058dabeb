"""An image's inputs, copied aside and hashed: what is hashed is what is built, even while somebody edits the files."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from dev.images.catalogue import Image

_TAG_LENGTH = 16


def stage(image: Image, folder: Path, ingredients: Sequence[str]) -> str:
    """Copy the image's inputs to `folder` and return the tag that stands for them.

    Args:
        image: what is built.
        folder: an empty folder; becomes the build context.
        ingredients: what else decides the result, e.g. the recipe of the base.
    """
    digest = hashlib.sha256("\0".join((image.name, *ingredients)).encode())
    for file in image.files():
        name = file.relative_to(image.context)
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy)
        # Modes other than "may be run" depend on the umask of whoever checked the files out.
        runnable = bool(copy.stat().st_mode & 0o100)
        copy.chmod(0o755 if runnable else 0o644)
        content = copy.read_bytes()
        digest.update(f"\0{name}\0{runnable}\0{len(content)}\0".encode())
        digest.update(content)
    for parent in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        parent.chmod(0o755)
    return digest.hexdigest()[:_TAG_LENGTH]
