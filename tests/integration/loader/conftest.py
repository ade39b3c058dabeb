"""A Storage with a catalog, with and without gateways between it and the loader."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.loader.gateway import Gateway
from tests.integration.loader.staging import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.lake_space import LakeSpace


@pytest.fixture
def bench(lake_space: LakeSpace, tmp_path: Path) -> Bench:
    """Direct connection to store and catalog."""
    return Bench(lake_space, tmp_path)


@pytest.fixture
def catalog_gateway(lake_space: LakeSpace) -> Iterator[Gateway]:
    """Gateway in front of the catalog."""
    with Gateway(lake_space.catalog.uri) as gateway:
        yield gateway


@pytest.fixture
def store_gateway(lake_space: LakeSpace) -> Iterator[Gateway]:
    """Gateway in front of the store."""
    with Gateway(lake_space.settings.endpoint) as gateway:
        yield gateway


@pytest.fixture
def far(lake_space: LakeSpace, tmp_path: Path, catalog_gateway: Gateway, store_gateway: Gateway) -> Bench:
    """The same Storage as `bench`, reached through both gateways."""
    return Bench(lake_space, tmp_path, catalog_gateway.url, store_gateway.url)
