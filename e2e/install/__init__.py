"""The operator on a cluster: the chart with the images of the work tree.

from e2e.install import install
install(connection, images.ensure(connection, IMAGES))
"""

from e2e.install.release import IMAGES, NAMESPACE, RELEASE, install, uninstall

__all__ = ["IMAGES", "NAMESPACE", "RELEASE", "install", "uninstall"]
