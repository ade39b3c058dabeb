"""Which of buildah's images are deleted if the disk is nearly full."""

from __future__ import annotations

from dev.images.engines import images_to_delete

NOW = 1_800_000_000.0
EARLIER, TODAY = int(NOW) - 90_000, int(NOW) - 80_000


def test_images_of_earlier_days_are_deleted_and_the_base_stays() -> None:
    images = [
        {"names": ["localhost/componentrun-base:1"], "created": EARLIER},
        {"names": ["registry.test/a:1", "localhost/a:1"], "created": EARLIER},
        {"names": ["registry.test/a:2"], "created": TODAY},
        {"names": None, "created": EARLIER},
    ]
    assert images_to_delete(images, NOW) == ["registry.test/a:1", "localhost/a:1"]
