"""Install the operator on a cluster: the chart with the images of the work tree.

from dev.install import install
install(connection, images.ensure(connection, IMAGES))
"""

from dev.install.release import IMAGES, NAMESPACE, RELEASE, install, uninstall

__all__ = ["IMAGES", "NAMESPACE", "RELEASE", "install", "uninstall"]
