"""One load in a process of its own, which a test can kill. Imported there before it is forked."""

from __future__ import annotations

import tempfile

from componentrun.loader.catalog.catalog import Catalog
from componentrun.loader.loading.load import load
from componentrun.storage.store.places import decode
from componentrun.wire.documents import from_json
from componentrun.wire.loader import LoadRequest

__all__ = ["load_once"]


def load_once(request_text: bytes) -> None:
    """Carry a request out."""
    request = from_json(LoadRequest, request_text)
    with tempfile.TemporaryDirectory() as scratch:
        load(Catalog(decode(request.storage)), request, scratch)
