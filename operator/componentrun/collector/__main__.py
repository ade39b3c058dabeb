"""`python -m componentrun.collector`: see `app`."""

import sys

from componentrun.collector.app import main

sys.exit(main())
