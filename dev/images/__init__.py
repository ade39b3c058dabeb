"""Container images for the cluster: rebuilt when their inputs change, pushed when the cluster lacks them.

    from dev.images import ensure
    references = ensure(connection, ["componentrun", "test-components"])

An image's tag is a hash of all its inputs, so an existing image is never built or pushed again, and a pod with this
reference always runs the content that the work tree had when `ensure` was called.
"""

from dev.images.catalogue import IMAGES, Image
from dev.images.making import build, ensure, ensure_one

__all__ = ["IMAGES", "Image", "build", "ensure", "ensure_one"]
