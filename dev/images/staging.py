"""Copy and hash an image's inputs, so that the build uses exactly the hashed files even if somebody edits them."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from dev.images.catalogue import Image

_TAG_LENGTH = 16


def stage(image: Image, folder: Path, ingredients: Sequence[str]) -> str:
    """Copy the image's inputs to `folder` and return the tag, a hash of them.

    Args:
        image: the image to build.
        folder: an empty folder, which becomes the build context.
        ingredients: other inputs of the result, e.g. the recipe of the base.
    """
    digest = hashlib.sha256("\0".join((image.name, *ingredients)).encode())
    for file in image.files():
        name = file.relative_to(image.context)
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy)
        # Only the executable bit is hashed, because other mode bits depend on the umask at checkout.
        runnable = bool(copy.stat().st_mode & 0o100)
        copy.chmod(0o755 if runnable else 0o644)
        content = copy.read_bytes()
        digest.update(f"\0{name}\0{runnable}\0{len(content)}\0".encode())
        digest.update(content)
    for parent in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        parent.chmod(0o755)
    return digest.hexdigest()[:_TAG_LENGTH]
