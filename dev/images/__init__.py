"""Container images for the cluster: built when their inputs changed, pushed when the cluster lacks them.

    from dev.images import ensure
    references = ensure(connection, ["componentrun", "test-components"])

An image's tag is a hash of everything that goes into it, so an image that exists is never built or pushed again, and a
pod that names a reference always runs what the work tree held when `ensure` was called.
"""

from dev.images.catalogue import IMAGES, Image
from dev.images.making import build, ensure, ensure_one

__all__ = ["IMAGES", "Image", "build", "ensure", "ensure_one"]
