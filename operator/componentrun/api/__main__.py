"""`python -m componentrun.api [FOLDER]`: writes the CRDs (to crds/ where no folder is given)."""

import sys
from pathlib import Path

from componentrun.api.crd import write

for path in write(Path(sys.argv[1] if len(sys.argv) > 1 else "crds")):
    sys.stdout.write(f"{path}\n")
