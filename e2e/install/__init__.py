"""The operator on a cluster: the chart with the images of the work tree.

from e2e.install import install
install(connection, images.ensure(connection, ["componentrun"]))
"""

from e2e.install.release import NAMESPACE, RELEASE, install, uninstall

__all__ = ["NAMESPACE", "RELEASE", "install", "uninstall"]
