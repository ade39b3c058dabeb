"""`python -m componentrun.controller`: the operator. Settings are environment variables, see `settings`."""

from __future__ import annotations

import asyncio
import os
import sys

from componentrun.controller import app, logs, settings
from componentrun.errors import PlatformError


def main() -> int:
    """Run the operator; 2 where it can't work with what it was told."""
    try:
        found = settings.from_environment(os.environ)
        logs.set_up(found.log_level, found.log_format)
        asyncio.run(app.run(found))
    except PlatformError as error:
        sys.stderr.write(f"error: {error.message}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
